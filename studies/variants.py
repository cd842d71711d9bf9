"""List what is changed, one thing at a time: the variants of the ablation study.

A variant changes one thing of the base and says so in words. What it changes may be a setting of
the pretraining, a transform, the stamps themselves, or what is asked of a trained network.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from galclr_utils.recipe import Settings

NEUTRAL = {  # the strength at which a transform does nothing
    "zoom": 1.0,
    "recentre_px": 0.0,
    "band_scaling": 0.0,
    "seeing_px": 0.0,
    "noise": 0.0,
    "cutout": 0.0,
}
WORDS = {
    "zoom": "zoom",
    "recentre_px": "shift",
    "band_scaling": "band scaling",
    "seeing_px": "seeing",
    "noise": "sky noise",
    "cutout": "cut-out",
}
STRENGTHS = {  # other strengths than the base's
    "zoom": (1.0, 1.25, 1.6, 2.0),
    "recentre_px": (0.0, 2.0, 4.0),
    "band_scaling": (0.0, 0.1, 0.4, 0.8),
    "seeing_px": (0.0, 1.0, 2.0),
    "noise": (0.0, 0.5, 1.5),
    "cutout": (0.0, 0.25, 0.5),
}
CONTROLS = ("random weights", "PCA-64")


@dataclass(frozen=True)
class Variant:
    """One change of the base.

    Attributes:
        group, name: what is varied, and the value.
        changed: what that means, in words.
        settings: fields of ``recipe.Settings``.
        strengths: of transforms, arguments of ``GalaxyViews.for_set``.
        stamps: which stamps, a kind of ``derived.make``.
        n_factor, epochs_factor: multiply the galaxies learned from, and the epochs.
        no_rotation: whether orientation is left out of the views.
        softening: multiplies the softening of asinh.
        orientations: over which a galaxy is averaged in the end.
        control: not trained at all: one of ``CONTROLS``.
    """

    group: str
    name: str
    changed: str
    settings: dict = field(default_factory=dict)
    strengths: dict = field(default_factory=dict)
    stamps: str = "base"
    n_factor: float = 1
    epochs_factor: float = 1
    no_rotation: bool = False
    softening: float = 1
    orientations: int = 8
    control: str = ""


def variants(base: dict, card: dict) -> list[Variant]:
    """Return the variants of a base, cheap and telling ones first; the base itself is the first.

    Args:
        base: parameters of 03_pretrain, with the values of the base.
        card: of the data set: its units and its stamps decide what is possible.

    >>> from galclr_utils.parameters import defaults
    >>> card = {"units": "display", "raw_stamp_px": 64, "crop_px": 64, "image_size_px": 32}
    >>> found = variants(defaults("03_pretrain"), card)
    >>> found[0].name, len({(v.group, v.name) for v in found}) == len(found)
    ('base', True)
    """
    listed = [Variant("base", "base", "nothing")]
    listed += [
        Variant("orientations", str(k), f"judged {how}", orientations=k)
        for k, how in ((1, "as observed"), (4, "by the mean over 4 orientations"))
    ]
    listed += [Variant("control", c, f"{c}: nothing is learned", control=c) for c in CONTROLS]
    listed += _transforms(base)
    listed += _stamps(card)
    listed += _one_setting(base)
    listed += _growth(base)
    return listed + _encoders()


def _one_setting(base: dict) -> list[Variant]:
    """Vary settings of the pretraining."""

    def vary(group, setting, values, words):
        values = [value for value in values if value != base[setting]]
        return [
            Variant(group, f"{value:g}", words.format(value), {setting: value}) for value in values
        ]

    rate, first = base["learning_rate"], base["warmup_epochs"]
    listed = vary("temperature", "temperature", (0.05, 0.1, 0.2, 0.5, 1.0), "temperature {:g}")
    listed += vary("batch", "batch_size", (64, 128, 256, 512, 1024), "{} galaxies in a batch")
    for factor in (0.3, 3):
        words = f"peak learning rate {factor:g} times the base's"
        listed.append(
            Variant("schedule", f"rate x{factor:g}", words, {"learning_rate": rate * factor})
        )
    if first:
        words = "the learning rate starts at its peak"
        listed.append(Variant("schedule", "no warm-up", words, {"warmup_epochs": 0}))
    for decay in (0.0, 0.01, 0.1):
        words = f"weight decay {decay:g}"
        listed.append(Variant("schedule", f"decay {decay:g}", words, {"weight_decay": decay}))
    for width in (64, 256, 1024):
        if width != base.get("hidden_dim", 256):
            words = f"{width} hidden units in the head"
            listed.append(Variant("head", f"hidden {width}", words, {"hidden_dim": width}))
    for width in (16, 64, 128):
        if width != base.get("projection_dim", 64):
            words = f"{width} numbers in z"
            listed.append(Variant("head", f"z {width}", words, {"projection_dim": width}))
    how = {"trained": "h is a layer that is learned, and the head reads it"}
    how["principal"] = "h is principal components of the pooled features, which the head reads"
    (kind,) = set(how) - {base.get("representation", Settings.representation)}
    listed.append(Variant("head", f"h {kind}", how[kind], {"representation": kind}))
    other = "moco" if base["method"] == "simclr" else "simclr"
    return [*listed, Variant("method", other, f"method {other}", {"method": other})]


def _transforms(base: dict) -> list[Variant]:
    """Vary the transforms: alone, left out, and their strengths."""
    words = "orientation is the only transform"
    listed = [Variant("alone", "orientation only", words, strengths=NEUTRAL)]
    on = [name for name, value in NEUTRAL.items() if base[name] != value]
    for name in on:
        alone = NEUTRAL | {name: base[name]}
        words = f"orientation and {WORDS[name]} are the only transforms"
        listed.append(Variant("alone", f"+ {WORDS[name]}", words, strengths=alone))
    words = "views keep the orientation of the stamp"
    listed.append(Variant("left out", "orientation", words, no_rotation=True))
    for name in on:
        words = f"views without {WORDS[name]}"
        listed.append(Variant("left out", WORDS[name], words, strengths={name: NEUTRAL[name]}))
    for name, values in STRENGTHS.items():
        for value in values:
            if value != base[name]:
                words = f"{WORDS[name]} of strength {value:g} (base {base[name]:g})"
                listed.append(Variant(WORDS[name], f"{value:g}", words, strengths={name: value}))
    for p in (0.3, 0.5, 0.8):
        if p != base["probability"]:
            words = f"each transform is applied with probability {p:g}"
            listed.append(Variant("probability", f"{p:g}", words, strengths={"p": p}))
    return listed


def _stamps(card: dict) -> list[Variant]:
    """Vary what a stamp shows: its size, its neighbours, its scale of brightness."""
    raw, crop, size = (card.get(k) for k in ("raw_stamp_px", "crop_px", "image_size_px"))
    listed = [
        Variant("stamps", "neighbours masked", "sources beside the galaxy are sky", stamps="masked")
    ]
    if raw and crop and size:
        cuts = [(48, 2), (32, 2), (32, 1), (48, 1), (64, 4), (64, 2), (64, 1)]
        for wide, factor in cuts:
            if wide <= raw and wide // factor >= 16 and (wide, factor) != (crop, crop // size):
                words = f"central {wide} pixels, binned by {factor}: {wide // factor} px a side"
                listed.append(
                    Variant("stamps", f"{wide}/{factor}", words, stamps=f"cut {wide} {factor}")
                )
    if card["units"] != "nanomaggy":
        words = "each stamp scaled to [0, 1] by its darkest and brightest pixel"
        return [*listed, Variant("stretch", "minmax", words, stamps="base minmax")]
    words = "stamps are normalised before the transforms, not after them"
    listed.append(Variant("order", "normalised first", words, stamps="normalised"))
    for factor in (0.3, 3, 10):
        words = f"softening of asinh {factor:g} times the base's"
        listed.append(Variant("stretch", f"asinh x{factor:g}", words, softening=factor))
    words = "a linear scale between the same ends"
    listed.append(Variant("stretch", "linear", words, softening=1e3))
    words = "each stamp scaled to [0, 1] by its darkest and brightest pixel"
    return [*listed, Variant("stretch", "minmax", words, stamps="base minmax")]


def _growth(base: dict) -> list[Variant]:
    """Vary how long is learned, and from how many galaxies in as many steps."""
    listed = []
    for factor in (0.5, 2, 4):
        words = f"{factor:g} times the epochs"
        listed.append(Variant("epochs", f"x{factor:g}", words, epochs_factor=factor))
    for name, factor in {"1/4": 1 / 4, "1/2": 1 / 2, "4/3": 4 / 3}.items():
        words = f"{name} of the galaxies in as many steps"
        own = {"n_factor": factor, "epochs_factor": 1 / factor}
        listed.append(Variant("galaxies", f"x{name}", words, **own))
    return listed


def _encoders() -> list[Variant]:
    words = {"cnn4-wide": "half as many channels again", "resnet18": "torchvision's ResNet-18"}
    return [Variant("encoder", name, w, {"encoder": name}) for name, w in words.items()]
