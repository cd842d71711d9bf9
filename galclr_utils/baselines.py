"""Describe galaxies by what the representation must beat: pixels, random weights, the catalogue.

A score alone says little: colour nearly tells the type, and a network that was never trained is a
strong control. Most baselines are features for `probes.probe`; all go into the same table as the
networks that are trained with labels (`supervised`) and measured shapes (`morphology`).
"""

# N galaxies, C bands, H, W pixels, D features

from __future__ import annotations

import numpy as np
import torch

from galclr_utils.checks import number
from galclr_utils.dataset import GalaxySet
from galclr_utils.device import best_device
from galclr_utils.encoders import Encoder
from galclr_utils.normalize import Normalize

COLOUR = ("g_r", "r_i")
CATALOGUE = (*COLOUR, "mag_r", "r50", "concentration")


def majority(train, y_train, test, seed: int = 0, draw: int = 0) -> np.ndarray:
    """Give every galaxy the late fraction of the training labels: the method that never looks.

    >>> majority(train=[4, 5, 6, 7], y_train=[0, 0, 0, 1], test=[8, 9])
    array([0.25, 0.25], dtype=float32)
    """
    return np.full(len(test), np.mean(y_train), np.float32)


# --- pixels ------------------------------------------------------------------------------------


class Pixels:
    """The principal components of the training galaxies' normalised pixels, for any stamp.

    As many numbers as the representation, without labels too, but linear: what learning adds must
    show against this.

    Args:
        galaxies: the data set.
        normalize: the same normalisation as the encoder's.
        n_components: D; no more than there are training galaxies or pixels.
        n_fit: the components come from at most so many training galaxies (memory); never from
            validation or test.
        seed: which galaxies, if there are more.
    """

    def __init__(
        self,
        galaxies: GalaxySet,
        normalize: Normalize,
        n_components: int = 64,
        n_fit: int = 10_000,
        seed: int = 0,
    ):
        from sklearn.decomposition import PCA

        if not len(train := galaxies.indices("train")):
            raise ValueError("train split: got no galaxies, expected some to find the components")
        few = np.sort(np.random.default_rng(seed).permutation(train)[:n_fit])
        self.normalize = normalize
        x = self._flat(galaxies.images[few])
        n = min(number("n_components", n_components, 1, np.inf, integer=True), *x.shape)
        self.pca = PCA(n, svd_solver="randomized", random_state=seed).fit(x)

    def _flat(self, images: np.ndarray) -> np.ndarray:
        return self.normalize(torch.from_numpy(np.asarray(images, np.float32))).flatten(1).numpy()

    def embed(self, images: np.ndarray) -> np.ndarray:
        """Return the components, float32 (N, D), of stamps (N, C, H, W) in the set's units."""
        blocks = (images[k : k + 1024] for k in range(0, len(images), 1024))
        return np.concatenate([self.pca.transform(self._flat(b)) for b in blocks]).astype("f4")

    def error(self, images: np.ndarray) -> np.ndarray:
        """Return float32 (N,): the mean squared pixel, of [0, 1], that the components miss."""
        x = self._flat(images)
        return np.mean((x - self.pca.inverse_transform(self.pca.transform(x))) ** 2, axis=1)


def pca_features(galaxies: GalaxySet, normalize: Normalize, **settings) -> np.ndarray:
    """Describe each galaxy of a set by the principal components of its pixels, float32 (N, D).

    Args:
        galaxies, normalize, settings: as for `Pixels`.

    >>> from astropy.table import Table
    >>> images = np.random.default_rng(0).random((20, 3, 8, 8), np.float32)
    >>> catalog = Table({"id": np.arange(20).astype(str), "label": np.arange(20) % 2})
    >>> catalog["split"] = ["train"] * 15 + ["test"] * 5
    >>> galaxies = GalaxySet(images, catalog, {"units": "display", "bands": ["g", "r", "i"]})
    >>> pca_features(galaxies, Normalize("identity"), n_components=4).shape
    (20, 4)
    """
    return Pixels(galaxies, normalize, **settings).embed(galaxies.images)


def random_encoder(
    galaxies: GalaxySet, like: Encoder, seed: int = 0, n_images: int = 2048
) -> Encoder:
    """Build the encoder that was never trained: the shape of a trained one, random weights.

    What its representation is good for is owed to the architecture, not to the learning. In all
    else it is treated as the trained one was: its batch normalisation has seen training galaxies,
    and where h is principal components of the pooled features, these are computed for it, too.

    Args:
        galaxies: the data set.
        like: the trained encoder; its shape and its normalisation are taken, not its weights.
        seed: of the weights; take another for each pretraining seed.
        n_images: training galaxies that set the batch normalisation, and the axes.
    Returns:
        The encoder, on the best device; ``.embed(galaxies.images)`` gives the features.
    """
    shape = like.name, like.representation_dim, like.normalize, like.n_bands
    encoder = Encoder(*shape, seed=seed).to(best_device())
    some = galaxies.images[galaxies.indices("train")[:n_images]]
    encoder.calibrate_batch_norm(some)
    return encoder.set_principal(some) if like.principal else encoder


# --- the catalogue -----------------------------------------------------------------------------


def catalogue_features(galaxies: GalaxySet, columns=CATALOGUE) -> tuple[np.ndarray | None, str]:
    """Return catalogue columns as features, or the reason why there are none.

    A value that is missing (NaN) becomes the median of the training galaxies.

    Args:
        galaxies: the data set.
        columns: names of columns.
    Returns:
        float32 (N, len(columns)) and "", or None and what is missing: a column that does not exist,
        or that less than 95% of the galaxies have.

    >>> from astropy.table import Table
    >>> catalog = Table({"id": ["a", "b"], "label": [0, 1], "split": ["train", "test"]})
    >>> catalog["g_r"] = [0.8, 0.4]
    >>> card = {"units": "display", "bands": ["g", "r", "i"]}
    >>> galaxies = GalaxySet(np.zeros((2, 3, 4, 4), np.float32), catalog, card)
    >>> catalogue_features(galaxies, ["g_r"])[0].shape
    (2, 1)
    >>> catalogue_features(galaxies, ["g_r", "r_i"])
    (None, 'the catalogue has no r_i')
    """
    if absent := [name for name in columns if name not in galaxies.catalog.colnames]:
        return None, f"the catalogue has no {', '.join(absent)}"
    x = np.stack([np.asarray(galaxies.catalog[name], np.float32) for name in columns], axis=1)
    x[~np.isfinite(x)] = np.nan
    known = np.isfinite(x).mean(axis=0)
    if sparse := [f"{c} ({k:.0%})" for c, k in zip(columns, known, strict=True) if k < 0.95]:
        return None, f"too few galaxies have {', '.join(sparse)}"
    train = galaxies.indices("train")
    typical = np.nanmedian(x[train] if len(train) else x, axis=0)
    return np.where(np.isfinite(x), x, typical), ""


def band_means(galaxies: GalaxySet) -> np.ndarray:
    """Return the mean pixel of each band: what colour and brightness a stamp itself tells.

    Stands in for the catalogue's colours where it has none.

    Args:
        galaxies: the data set.
    Returns:
        float32 (N, C), in the set's units.
    """
    blocks = [slice(k, k + 1024) for k in range(0, len(galaxies), 1024)]
    means = [np.mean(galaxies.images[b], axis=(2, 3), dtype=np.float32) for b in blocks]
    return np.concatenate(means)


def photometry(galaxies: GalaxySet) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the baselines that need no network: colour only, and all that a catalogue knows.

    Args:
        galaxies: the data set.
    Returns:
        Features by name, for `probes.probe`: "colour" (or "band means" without catalogue colours)
        and "catalogue" (colour, magnitude, size and concentration); and, for each that could not
        be made, the reason.
    """
    features, reasons = {}, {}
    for name, columns in {"colour": COLOUR, "catalogue": CATALOGUE}.items():
        x, reason = catalogue_features(galaxies, columns)
        if x is None:
            reasons[name] = reason
        else:
            features[name] = x
    if "colour" in reasons:
        features = {"band means": band_means(galaxies)} | features
    return features, reasons
