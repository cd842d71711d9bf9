# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# (ch-data)=
# # Galaxies, and what we know of them
#
# *What does a survey give us of each galaxy, and how much of its type is known before anyone looks at
# the picture?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** what a stamp is and in which units it is kept; how one set of galaxies is split
# so that no later chapter can cheat; how good the labels are that everything is judged by.
#
# **You need** Python, and magnitudes from a first astronomy course.
#
# **In:** nothing, or your own galaxies. **Out:** `dataset/` (images, catalogue, card).
#
# ```{include} ../book/_generated/time_01_data.md
# ```
# :::
#
# Two kinds of galaxies make up most of the nearby universe. *Early types* are round or lens-shaped,
# smooth, red and done with forming stars. *Late types* are discs with spiral arms, blue where stars
# are young. The names come from a reading of Hubble's sequence as an evolution, which it is not; they
# stayed. Astronomers give a galaxy a place on that sequence, its {term}`T-type`, by eye: below or at
# zero is early, above is late.
#
# The Sloan Digital Sky Survey took pictures of hundreds of thousands of galaxies at redshifts below
# 0.15 in five bands; we use three, $g$, $r$ and $i$. To label such a survey by eye took volunteers by the
# hundred thousand {cite}`lintott2011galaxy`, and the next ones are a thousand times larger. Hence the question of this book: how much can a machine
# learn of morphology *without labels*, and how few labels turn what it has learned into a catalogue?
#
# ## Parameters
#
# Every chapter starts with its parameters. Those shown first are the defaults; a second cell, if
# there is one, holds the values of this build.

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # seed of the simulated survey and of the figures
source: str = "simulated"  # simulated, arrays, pictures, fits, hdf5, galaxy10 or sdss
source_path: str = ""  # file (arrays, hdf5, galaxy10) or folder (pictures, fits, sdss)
catalog_path: str = ""  # table of the galaxies: CSV, ECSV or FITS; "" if there is none
unlabelled_path: str = ""  # more images without labels, added to the training split; "" for none
test_split: str = ""  # which split of the catalogue plays test; "" takes them as named
n_galaxies: int = 2000  # training galaxies; validation and test come on top; 0 takes all there are
crop_px: int = 0  # central crop before binning [pixels]; 0 for none
image_size_px: int = 32  # the crop is binned to this size; their ratio is a whole number
val_fraction: float = 0.1  # share of galaxies for validation, if the catalogue has none
test_fraction: float = 0.2  # share of galaxies for the final test, if the catalogue has none
units: str = ""  # of float arrays: nanomaggy or display; of sdss cut-outs: nanomaggy vouches for it
label_scatter: float = 1.1  # simulated only: the classifiers' uncertainty [T-types]

# %%
import numpy as np
from astropy.table import Table
from scipy.stats import rankdata

from galclr_utils import figures, metrics, population
from galclr_utils.plates import show
from galclr_utils.provenance import run_path, write_metrics
from galclr_utils.sources import prepare

run = run_path(run_dir)

# %% [markdown]
# ## Where the galaxies come from
#
# One call reads the source block by block, cuts and bins the stamps, refuses what is broken, drops
# what is there twice, splits, and writes the set. Called again with the same inputs, it opens what is
# there.

# %%
galaxies = prepare(
    run,
    source=source,
    source_path=source_path,
    catalog_path=catalog_path,
    unlabelled_path=unlabelled_path,
    test_split=test_split,
    n_galaxies=n_galaxies,
    crop_px=crop_px,
    image_size_px=image_size_px,
    val_fraction=val_fraction,
    test_fraction=test_fraction,
    seed=seed,
    label_scatter=label_scatter,
    units=units,
)
card, side = galaxies.card, galaxies.images.shape[-1]
print(f"{card['source']}: {len(galaxies)} galaxies, {side} x {side} pixels")

# %% [markdown]
# By default the survey is **SIMULATED**: galaxies drawn from published distributions of luminosity
# and size, and from plausible choices of ours for the rest, and rendered as the Sloan camera would
# have seen them, with its pixels, its seeing and its noise. That makes the book run anywhere, in
# minutes, without a download of data, and it lets us ask what no real survey answers: what is the
# *true* type of each galaxy? It also means that no number made from it is a measurement of the sky.
# The same notebooks read real galaxies when four parameters change; see
# {ref}`your own galaxies <own-galaxies>`.

# %%
figures.gallery(galaxies, seed=seed).save(run)

# %% [markdown]
# **What to see.** Type is easy to tell when a galaxy is large, and hard when it is small: the seeing
# smears what is finer than its disc (its width is in the table below), and the spiral arms of distant
# galaxies are gone. Some stamps hold a star or a neighbour. Some early types are discs seen edge-on,
# and not every late type is blue.
#
# ## Units, bins and the [0, 1] that is not here
#
# A stamp is kept in *linear* flux, in {term}`nanomaggies <nanomaggy>`: a source of magnitude 22.5 has
# flux 1. Binning *adds* pixels, so a galaxy keeps its flux. The stretch to [0, 1] that a network likes
# comes last of all, after the transforms of {ref}`the next chapter <ch-views>`, because noise adds and
# seeing blurs in flux, not in a stretched picture. (Pictures such as JPEGs have lost their flux; they
# are kept in *display units* and binned by mean. Then the flux transforms are approximate.)

# %%
scale, catalog = card["arcsec_per_pixel"], galaxies.catalog
facts = {
    "units": card["units"],
    "bands": " ".join(card["bands"]),
    "pixel": f"{scale:.3f} arcsec" if scale else "unknown",
    "sky rms in each band": " ".join(f"{rms:.3f}" for rms in card["sky_rms"]),
    "stamps that were there twice": str(sum(card["cuts"]["duplicates"].values())),
}
if "psf_fwhm" in catalog.colnames and np.isfinite(catalog["psf_fwhm"]).any():
    seeing = float(np.nanmedian(catalog["psf_fwhm"]))
    pixels = f", {seeing / scale:.1f} pixels" if scale else ""
    facts["seeing, full width at half maximum"] = f"{seeing:.2f} arcsec{pixels}"
show(Table(rows=list(facts.items()), names=("what", "value")))

# %% [markdown]
# ## Three splits, and a promise
#
# *Training* galaxies are learned from. *Validation* galaxies are for every choice we make on the way.
# *Test* galaxies give the numbers in the end, and nothing else: no network is trained on them, not even
# without labels, and no setting is chosen by them. A galaxy's split follows from a hash of its name,
# so it stays where it is when the survey grows, and galaxies that are there twice go first.

# %%
counts = Table(names=("split", "early", "late", "unknown"), dtype=(str, int, int, int))
for split in ("train", "val", "test"):
    own = galaxies.labels[galaxies.indices(split)]
    counts.add_row((split, (own == 0).sum(), (own == 1).sum(), (own == -1).sum()))
show(counts)

# %% [markdown]
# ## What the catalogue knows already
#
# Before a network looks at a single pixel, a few catalogue numbers tell early from late types rather
# well: early types are red, and their light is concentrated. A method that looks at pictures must be
# judged *beside* these numbers, or it may have learned nothing but colour. We will keep them as
# baselines all through the book.

# %%
known = galaxies.labelled("train")
wanted = ("g_r", "concentration", "r50", "mag_r")
columns = [name for name in wanted if name in catalog.colnames]
columns = [name for name in columns if np.isfinite(catalog[name][known]).any()]
plate = figures.catalogue(galaxies, columns) if columns else None
plate.save(run) if plate else print("no such column, or no label, in this catalogue")

# %% [markdown]
# One number says how well a column tells the types apart. Take an early and a late galaxy at random:
# how often is it, say, the early one that is redder? A coin gives one half, a perfect column 1. (This is
# the *area under the ROC curve*, and you will meet it again in {ref}`ch-probes`.)

# %%
told = Table(names=("column", "pairs told apart"), dtype=(str, float))
for name in columns:
    values = np.asarray(catalog[name][known], float)
    seen = np.isfinite(values)
    order = rankdata(values[seen]) / seen.sum()
    area = metrics.scores(galaxies.labels[known][seen], order)["roc_auc"]
    if np.isfinite(area):  # there are both types
        told.add_row((name, max(area, 1 - area)))
told["pairs told apart"].format = ".3f"
show(told) if len(told) else print("no such column, or one type only")

# %% [markdown]
# ## How good are the labels?
#
# Labels are opinions. Six experts who classified the same galaxies differed from one another by 1.3 to
# 2.3 T-types {cite}`naim1995comparative`. The simulated survey puts that in: a label says late if the
# true T-type plus a random error is above zero. The error is larger for small galaxies, and its size is
# a parameter, `label_scatter`. No classifier, however good, can be expected to agree with labels more
# often than the labels agree with the truth: the share of wrong labels sets a ceiling.
#
# The default scatter was *chosen* such that a supervised network lands near 90 per cent: agreement with
# published accuracies is by construction, and no evidence for anything.

# %%
simulated, flips = bool(card.get("simulated")), {}
scattered = simulated and "true_r50" in catalog.colnames  # this survey's own labels
if scattered:
    rows = np.flatnonzero(galaxies.labels >= 0)
    t_type = np.asarray(catalog["ttype"][rows], float)
    r50 = np.asarray(catalog["true_r50"][rows], float)
    deviate = np.random.default_rng(seed).standard_normal(len(rows))
    for scatter in sorted({0.0, 0.8, 1.1, 1.6, float(label_scatter)}):
        labels = population.human_labels(t_type, r50, scatter, deviate)
        flips[scatter] = float(np.mean(labels != (t_type > 0)))
plate = figures.label_scatter(galaxies, flips, label_scatter) if scattered else None
plate.save(run) if plate else print("only for simulated galaxies")

# %%
if scattered:
    wrong = galaxies.labels[rows] != (t_type > 0)
    kinds = {
        "all": np.ones(len(rows), bool),
        "ellipticals, T below -3.5": t_type < -3.5,
        "between -1.5 and 1.5": abs(t_type) < 1.5,
        "Sb and later, T above 2.5": t_type > 2.5,
    }
    print(f"ceiling of the accuracy: {1 - wrong.mean():.1%}")
    names = ("true type", "galaxies", "wrong labels")
    found = Table(names=names, dtype=(str, int, str))
    for kind, own in kinds.items():
        if own.any():
            found.add_row((kind, own.sum(), f"{wrong[own].mean():.1%}"))
show(found) if scattered else print("only for simulated galaxies")

# %% [markdown]
# **What to see.** On the left, the steeper the curve, the fewer the errors. They sit where the types
# meet, between lenticulars and early spirals; compare the rows of the table for how rare they are at
# the ends. So the last few per cent of accuracy are about galaxies on which people disagree.
#
# ## Limits
#
# A simulated galaxy is as good as the distributions it was drawn from. There are no mergers here, no
# irregular shells, no satellite trails, and dust is a dark lane and no more. Which distribution came
# from which paper, and which was our choice, is listed in the {ref}`data card <data-card>`.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-majority
# ```
# Somebody reports an accuracy of 60 per cent on the test split. Is that good? Compute what a
# classifier reaches that always gives the commoner type, and its *balanced* accuracy.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-majority
# :class: dropdown
# ```

# %%
own = galaxies.labels[galaxies.labelled("test")]
if len(own):
    constant = np.full(len(own), np.mean(own) > 0.5)
    recalls = [np.mean(constant[own == kind] == kind) for kind in np.unique(own)]
    accuracy, balanced = np.mean(constant == own), np.mean(recalls)
    print(f"always the commoner type: accuracy {accuracy:.3f}, balanced {balanced:.3f}")
    assert accuracy >= 0.5 and balanced == 1 / len(recalls)

# %% [markdown]
# The balanced accuracy is the mean of the accuracies on early and on late types. A constant answer is
# right on all of one and none of the other, whatever their numbers.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-binning
# ```
# Two by two pixels are binned by sum. How does the noise of a pixel change, and how the
# signal-to-noise ratio of a faint galaxy that covers many pixels? Check with random numbers that flux
# is conserved.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-binning
# :class: dropdown
# ```

# %%
from galclr_utils.dataset import bin_pixels

noise = np.random.default_rng(1).normal(0, 1, (20, 3, 64, 64))
binned = bin_pixels(noise, 2, "sum")
print(f"rms of a pixel: {noise.std():.2f} before, {binned.std():.2f} after")
assert np.allclose(noise.sum(axis=(2, 3)), binned.sum(axis=(2, 3)), atol=1e-2)
assert abs(binned.std() - 2) < 0.05

# %% [markdown]
# Four independent pixels add in quadrature, so the noise of a pixel doubles, while a smooth signal
# becomes four times larger: per pixel the ratio doubles. For the galaxy as a whole nothing changes,
# since it has four times fewer pixels. Binning loses resolution, not depth.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - A stamp is linear flux in three bands; binning adds, and the stretch to [0, 1] comes last.
# - Test galaxies are for final numbers only.
# - Colour and concentration alone go a long way: they are the competitors of every picture.
# - Labels are noisy, most of all where the types meet, and that sets a ceiling to every accuracy.
#
# Next: {ref}`ch-views`.

# %% tags=["hide-cell"]
numbers = {
    "simulated": simulated,
    "counts": {
        row["split"]: {kind: int(row[kind]) for kind in ("early", "late", "unknown")}
        for row in counts
    },
    "arcsec_per_pixel": card["arcsec_per_pixel"],
    "image_size_px": galaxies.images.shape[-1],
    "label_flips": flips,
    "pairs_told_apart": dict(
        zip(told["column"], map(float, told["pairs told apart"]), strict=True)
    ),
}
_ = write_metrics(run, "01_data", numbers, seed)
