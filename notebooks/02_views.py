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
# (ch-views)=
# # Two views of one galaxy
#
# *What may change in the picture of a galaxy without its being another galaxy?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** what each random transform claims about the sky, when the claim is false, and why
# choosing the transforms is choosing what can be learned.
#
# **You need** {ref}`ch-data`.
#
# **In:** `dataset/`. **Out:** figures only.
#
# ```{include} ../book/_generated/time_02_views.md
# ```
# :::
#
# Contrastive learning has no labels. What it is told instead is which pictures show *the same thing*:
# two random distortions, {term}`views <view>`, of one galaxy. The network must map both to nearly the
# same place, and other galaxies elsewhere. Whatever differs between two views is thereby declared
# unimportant, and whatever survives in both is what can be learned. So choosing the transforms is
# choosing the question. For photographs of cats and dogs good choices are known; they include crops
# to a tenth of the picture, hue shifts and grey pictures. On galaxies most of these make no sense: a
# tenth of a galaxy is a piece of sky, and hue in $g$, $r$, $i$ is stellar population and dust.
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # seed of the examples shown
normalize: str = "auto"  # asinh, minmax or identity; auto: asinh for flux, else identity
probability: float = 0.5  # of each transform but rotation and flip, which always apply; [0, 1]
zoom: float = 1.25  # largest zoom factor; its inverse is the smallest; [1, 4]
recentre_px: float = 2.0  # largest shift along x and y [pixels]
band_scaling: float = 0.1  # each band is multiplied by 1 +- at most this; [0, 1]
seeing_px: float = 1.0  # largest sigma of the additional blur [pixels]
noise: float = 0.5  # largest additional noise [rms of the sky]
cutout: float = 0.25  # largest side of the square that is cut out [stamp sides]; [0, 1]

# %%
import numpy as np
import torch
from astropy.table import Table

from galclr_utils import GalaxySet, atlas, figures
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.plates import show
from galclr_utils.provenance import run_path, write_metrics

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
views = GalaxyViews.for_set(
    galaxies,
    normalize=normalize,
    p=probability,
    zoom=zoom,
    recentre_px=recentre_px,
    band_scaling=band_scaling,
    seeing_px=seeing_px,
    noise=noise,
    cutout=cutout,
)

# %%
steps = Table(names=("transform", "at most", "share of views"), dtype=(str, str, float))
for name, step in views.steps.items():
    ranges = {k: v for k, v in vars(step).items() if k not in ("p", "sky_rms")}
    most = " ".join(f"{k.replace('_px', ' [px]')} {v:g}" for k, v in ranges.items())
    most = most or "any angle, mirrored or not"
    steps.add_row((name.replace("_", " "), most, step.p))
show(steps)

# %% [markdown]
# ## Seven transforms and what each one claims
#
# | transform | claims that this does not matter | false when |
# |---|---|---|
# | rotation and flip | how the galaxy lies on the sky | the sense of winding is the question |
# | zoom | its distance | the size itself is the question; seeing and noise do not scale with it |
# | re-centre | a centring error of a pixel or two | a neighbour moves into the middle |
# | band scaling | calibration, dust on the way, and some of the colour | colour tells the type, as it does |
# | seeing | a worse night | the blur hides the arms |
# | sky noise | a shorter exposure | the galaxy is at the limit already |
# | cut-out | a masked star, a dead column | the square covers a small galaxy whole |
#
# As in the study that is reproduced here, rotation and flip always apply, and each of the others to
# half of the pictures. (There, the transforms were rotation, colour distortion, crop and resize, and
# cut-out {cite}`sarmiento2020sea`; zoom with re-centring is our crop and resize, kept around the
# centre. Seeing and noise are ours.) All of the geometry is one resampling, so that pictures are
# smoothed once and not three times; beyond its edge a stamp is mirrored, because black corners would
# betray the angle.

# %%
rows = atlas.choose(galaxies.indices("train"), 6, seed)
stamps = torch.from_numpy(galaxies.images[rows]).float()
generator = torch.Generator().manual_seed(seed)
pictures = {"as observed": views.normalize(stamps).numpy()}
for name in views.steps:
    alone = views.only(name)
    pictures[name.replace("_", " ")] = alone(stamps, generator).numpy()
order = torch.randperm(len(rows), generator=generator)
pair = views(stamps, generator).numpy(), views(stamps[order], generator).numpy()
sky = float(views.normalize(0 * stamps).max())
figures.views(galaxies, pictures, pair, sky).save(run)

# %% [markdown]
# **What to see.** Each transform is drawn once, at some strength up to its largest, so some columns
# hardly differ from the first: they are meant to be mild. Stars near an edge may be there twice, as a
# ghost in the mirror that begins beyond it.
#
# Then a quiz: cover all but the last two columns. For each lettered picture, which numbered one is its
# partner? Where you can tell, you use what the transforms left: shape, brightness, neighbours, some
# colour. Where you cannot, the task is too hard for the network too, and it will learn something else,
# such as the noise. That is the quiz that the network is given in {ref}`the next chapter <ch-pretrain>`,
# with hundreds of pictures or more in place of six.

# %% tags=["hide-output"]
partner = (torch.argsort(order) + 1).tolist()
print(", ".join(f"{letter}: {n}" for letter, n in zip("abcdef", partner, strict=False)))

# %% [markdown]
# ## The colour shortcut
#
# Colour is a cheap way to pass such a quiz. It is measured far better than a spiral arm, it differs from
# galaxy to galaxy, and turning or moving a galaxy leaves it alone. If two views kept it untouched, the
# network could find many a partner without looking at shapes. A *shortcut* like that lowers the loss
# and teaches little. Chen et al. met it in photographs, whose crops share a colour histogram, and found
# distorting the colours, along with crops, to matter most {cite}`chen2020simple`. Here each band is
# multiplied by a factor of its own.

# %%
factor = views.steps["band_scaling"].draw((4000, stamps.shape[1]), generator)["factor"]
shift = 2.5 * torch.log10(factor[:, 0] / factor[:, 1]).abs()  # magnitudes of g - r
print(f"band scaling touches {(shift > 0).float().mean():.2f} of the views")
if (shift > 0).any():
    print(f"and moves their g - r by {shift[shift > 0].median():.2f} mag in the median")
known = galaxies.labelled("train")
if "g_r" in galaxies.catalog.colnames and len(np.unique(galaxies.labels[known])) == 2:
    colour, labels = np.asarray(galaxies.catalog["g_r"][known]), galaxies.labels[known]
    early, late = (np.nanmedian(colour[labels == kind]) for kind in (0, 1))
    print(f"early and late types differ by {early - late:.2f} mag in the median")

# %% [markdown]
# But on galaxies colour is also a true sign of type ({ref}`ch-data`), and what the transforms destroy
# no probe finds again. So the strength is a trade, and it was measured, without test galaxies ({ref}`ch-choices`).
# On the simulated survey scalings from 0 to 0.8 are not told apart: all scores stay within two points. The default
# is 0.1, which blurs the colour without hiding it. On real pictures a strong one helped by several points, and the
# profile `pictures.yml` uses it. Measure it again on galaxies of your own.
#
# Brightness is another shortcut, and it stays: one stretch for all galaxies keeps it, and
# {ref}`ch-umap` finds it again.
#
# ## Normalisation comes last
#
# A network wants numbers between 0 and 1. For flux we use an {term}`asinh` stretch with *one* softening
# for the whole survey: linear in the sky noise, logarithmic in the core {cite}`lupton2004preparing`.
# The same scale for all three bands keeps the colour, the same for all galaxies keeps the brightness.
# (Display units are between 0 and 1 already.) The poster says only that images were "normalised to
# [0, 1]". If, as we read it, each stamp was scaled by its own brightest and darkest pixel, a star in the
# corner dims the galaxy:

# %%
with_star = stamps[:1].clone()
with_star[:, :, 3, 3] += 20 * float(with_star.max())
middle = slice(stamps.shape[-1] // 4, -(stamps.shape[-1] // 4))
for kind in dict.fromkeys((views.normalize.kind, "minmax")):
    scale = GalaxyViews.for_set(galaxies, normalize=kind).normalize
    change = (scale(with_star) - scale(stamps[:1]))[:, :, middle, middle].abs().max()
    print(f"{kind:8} the star changes the galaxy by {change:.2f} of the full range")

# %% [markdown]
# ## Limits
#
# Seeing is blurred *after* the noise is there, while in nature the noise comes last; the zoom changes
# the size of the galaxy but not that of the seeing disc. In display units flux is gone, and noise,
# seeing and band scaling are only like the real thing.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-untouched
# ```
# Each of the six optional transforms applies with the same chance, `probability`, and independently of
# the others. In what share of views does none of them apply? Check it with drawn parameters.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-untouched
# :class: dropdown
# ```

# %%
# of the default strengths: with a strength of 0, nobody can tell whether a transform was applied
usual = GalaxyViews(views.normalize, sky_rms=[1.0, 1.0, 1.0], p=probability)
drawn = usual.draw((4096, 3, 8, 8), torch.Generator().manual_seed(1))
plain = (drawn["zoom"]["zoom"] == 1) & (drawn["recentre"]["shift_px"] == 0).all(1)
plain &= (drawn["band_scaling"]["factor"] == 1).all(1)
plain &= drawn["seeing"]["sigma_px"] == 0
plain &= (drawn["noise"]["sigma"] == 0).all(1) & (drawn["cutout"]["side_px"] == 0)
expected, found = (1 - probability) ** 6, float(plain.float().mean())
print(f"expected {expected:.4f}, found {found:.4f}")
assert abs(found - expected) < 5 * (expected * (1 - expected) / 4096) ** 0.5 + 1e-3

# %% [markdown]
# The chances multiply: with one half, it is half to the sixth power, one view in sixty-four. Even those
# views are turned, so no view equals the stamp.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-turn
# ```
# Turn the stamps by a quarter turn and by 40 degrees, and measure the flux of the whole. Which keeps it,
# and why does the other change it for some galaxies and hardly for others?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-turn
# :class: dropdown
# ```

# %%
turn, change = views.steps["orientation"], {}
for degrees in (90, 40):
    angle = torch.full((len(stamps),), float(np.radians(degrees)))
    turned = turn.apply(stamps, {"angle": angle, "mirror": angle < 0})
    gained = (turned - stamps).sum(dim=(1, 2, 3))
    change[degrees] = gained / stamps.abs().sum(dim=(1, 2, 3)).clamp_min(1e-6)
    print(degrees, "degrees:", " ".join(f"{c:+.3f}" for c in change[degrees]))
assert change[90].abs().max() < 1e-3, "a quarter turn moves pixels onto pixels"

# %% [markdown]
# A quarter turn moves each pixel onto another, and nothing is lost. At other angles the corners of the
# square leave the frame, and mirrored pixels come in. A large galaxy, or a star near the edge, loses some of its
# flux or is partly seen twice. A galaxy in the middle, with sky around it, should keep its own; but a core that is
# narrower than two pixels is read between its pixels, and its sum may change by some per cent, too.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - What differs between two views is what the network learns to ignore.
# - Each transform is a claim about galaxies or about the camera, with a range in which it holds.
# - Colour is a shortcut and a sign of type at once. How much of it to take away is measured, not known.
#
# Next: {ref}`ch-pretrain`.

# %% tags=["hide-cell"]
_ = write_metrics(run, "02_views", {"views": views.settings}, seed)
