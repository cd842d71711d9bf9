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
# (ch-choices)=
# # What helped, and what did not
#
# *A pretraining has some thirty settings. Which of them matter, and how do we know that it was not luck?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to read an {term}`ablation`: one thing is changed, all else is kept; what the luck of a
# seed does to a score, and why a difference that is not larger says nothing; what each transform and
# each step of the processing claims about galaxies.
#
# **You need** {ref}`ch-views`, {ref}`ch-pretrain` and {ref}`ch-probes`.
#
# **In:** stored studies in the folder `book/studies`. **Out:** nothing that another chapter reads.
#
# ```{include} ../book/_generated/time_11_choices.md
# ```
# :::
#
# ## Change one thing
#
# Papers tell what was done. Seldom do they tell what else was tried, and how much it mattered. An ablation
# does: it takes one pretraining, the *base*, changes one thing at a time, pretrains again, and
# asks whether the space has become better or worse.
#
# The rules, before any result:
#
# - **Nothing is chosen on test.** Some labelled training and validation galaxies were set aside and are
#   judged. No network has seen them, and no test galaxy was used for anything.
# - **Everything else is the same:** galaxies, order, seed, label draws, judged galaxies.
# - **Three judges.** A vote of 15 neighbours by cosine with 1000 labels, which looks at the space as it is;
#   a logistic probe with 100 labels; and one with 1000. The score is balanced accuracy, the mean of
#   three label draws.
# - **Luck has a size.** The base was pretrained from several seeds. How much these differ says which
#   differences can be taken seriously.
#
# :::{admonition} These studies were not made in this build
# :class: important
# Each row of a study is a pretraining, so that a study takes hours. `studies/ablations.py` makes and stores it,
# and this chapter shows what is stored: the first cell says which studies are there, and the tables say how many
# galaxies and epochs they rest on. Where none is there, the figures are missing, and the questions and the
# exercises remain. The pretrainings are short, so that there can be many. What helps in a short training
# need not help in a long one.
# :::
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # of what the exercises draw; the stored studies have seeds of their own
studies_dir: str = "book/studies"  # where the stored studies lie
chosen_study: str = "ablations-simulated"  # the study that is drawn
other_study: str = "ablations-pictures"  # the one that it is compared with

# %%
import numpy as np
import torch
from astropy.table import Table
from scipy import stats

from galclr_utils import choices, differences, plates
from galclr_utils.normalize import Normalize
from galclr_utils.provenance import run_path, write_metrics

run = run_path(run_dir)
study = differences.load(studies_dir, chosen_study)
other = differences.load(studies_dir, other_study)
for name, found in ((chosen_study, study), (other_study, other)):
    print(f"{name}:", f"{len(found.rows)} pretrainings" if found else "not stored here")
    if found:
        print(f"  source of the galaxies: {found.record['source']}")
missing = f"nothing to show: no such study in {studies_dir}: see studies/README.md"

# %% [markdown]
# ## The base, and luck
#
# What is changed one by one in the following is this:

# %%
names = "method encoder representation batch_size learning_rate temperature".split()
names += "probability zoom recentre_px band_scaling seeing_px noise cutout".split()
names += "crop_px image_size_px binning".split()  # of the stamps, where a study says it
if study:
    table = Table({"setting": ["galaxies learned from", "epochs", "galaxies judged", *names]})
    for one in filter(None, (study, other)):
        plan, own = one.record["plan"], one.record["base"]
        values = [plan["n_train"], plan["epochs"], one.record["n_asked"]]
        values += [own.get(name, "–") for name in names]
        table[one.record["name"]] = list(map(str, values))
plates.show(table) if study else print(missing)

# %% [markdown]
# And this is what it scores, in the representation $h$, in the pooled features before it and in the
# projection $z$ behind it. The number after ± is the standard deviation over pretraining seeds: other
# weights to begin with, another order, other views, and nothing else.

# %%
plates.show(differences.base_scores(study)) if study else print(missing)

# %% [markdown]
# Let that scatter be $s$, from $k$ seeds of the base (and, where variants were repeated, from theirs too,
# with as many more degrees of freedom). A variant that was pretrained once and changes
# nothing at all would still differ from the base's mean; in 95 of 100 cases by less than
#
# $$
# t_{k-1} \; s \; \sqrt{1 + 1/k} ,
# $$ (eq-chance)
#
# where $t_{k-1}$ is the 97.5 per cent point of Student's distribution. This is the grey band in the figures
# below. Inside it, a difference means nothing. Outside, it probably means something; but when sixty
# variants that change nothing are drawn, about three lie outside too.
#
# ## Does each transform earn its place?
#
# Each transform claims that something does not matter for what a galaxy is ({ref}`ch-views`). Two
# questions can be asked of it. *What is lost without it?* And *how far does it come alone?* (Not quite alone:
# the orientation is varied with it, since a galaxy has no up.)

# %%
few = ["left out", "alone", "probability"]
plate = choices.dots(study, few, "fig-choices-transforms") if study else None
plate.save(run) if plate else print(missing)

# %% [markdown]
# **How to read it.** A transform that earns its place has a downward triangle in *left out*. One that is
# grey there is not useless: another transform may do its work. Then look at *alone*, which tells whether
# it could do the work by itself. A transform whose removal *helps* has claimed something false: it erases
# what tells the types apart.
#
# ## How strong?
#
# Strength is where the physics is. A zoom of 2 says that distance does not matter by a factor of two; a
# large shift says that a neighbour in the middle is as good as the galaxy. Band scaling hides the colour.
# Colour is a {term}`shortcut` to the type: with it, a network need not look at the shape, and without it, it loses
# a clue that is real.

# %%
few = ["zoom", "shift", "band scaling", "seeing", "sky noise", "cut-out"]
plate = choices.dots(study, few, "fig-choices-strengths") if study else None
plate.save(run) if plate else print(missing)

# %% [markdown]
# **How to read it.** Within a group, strength grows downwards and 0 means *off*; the base's own value is
# not drawn, it is the vertical line. Do both ends lose? Then the base sits on a hill. Does one end win?
# Then the base was chosen badly, at least for these galaxies. Is all of it grey? Then the strength does not
# matter here, and any value would do.
#
# ## What should a stamp show?
#
# A tighter crop has less sky and fewer neighbours, but it cuts off the outer disc of a large galaxy; finer
# pixels show thinner arms, with more noise in each. A stamp *W/F* shows the central *W* raw pixels,
# binned *F* by *F*. *Neighbours masked* replaces every source but the central one by sky: does the network
# use what it should not see?
#
# Two more choices are about brightness. The *stretch* maps flux to [0, 1]: nearly linear up to the
# softening of {term}`asinh`, logarithmic beyond, so a small softening brings out faint arms and their noise.
# And the *order*: noise adds and seeing blurs *in flux*. If stamps are stretched first, as pictures are, the
# same transforms act on something else.

# %%
few = ["stamps", "order", "stretch"]
plate = choices.dots(study, few, "fig-choices-stamps") if study else None
plate.save(run) if plate else print(missing)

# %% [markdown]
# **How to read it.** Compare two stamps with equal *W* for the size of a pixel, and two with equal *F* for
# the crop. Finer pixels cost in proportion to their number, so a gain there has a price. Here all lengths
# in pixels follow the pixel: a shift stays the same angle.
#
# ## How should it be trained?
#
# The {term}`temperature` says how much the nearest strangers count ({ref}`ch-pretrain`). A larger batch has
# more strangers, but takes fewer steps in as many epochs. The rate and its warm-up say how fast is learned.
# The *head* takes the loss on itself. It may read the pooled features, or a layer of 64 numbers that is learned
# with it ({ref}`sec-sixty-four`).
# *Orientations* are the only variants that need no training of their own: the same network is judged by
# the mean over one or four orientations instead of eight.

# %%
few = ["temperature", "batch", "schedule", "head", "method", "encoder", "orientations"]
plate = choices.dots(study, few, "fig-choices-training") if study else None
plate.save(run) if plate else print(missing)

# %% [markdown]
# **How to read it.** These settings fill most of the tables in papers. Count how many of them matter more
# than the stamps and the transforms do.
#
# ## More epochs, or more galaxies?
#
# Computing time can be spent on showing the same galaxies more often or on showing others.

# %%
plate = choices.growth(study) if study else None
plate.save(run) if plate else print(missing)

# %% [markdown]
# **How to read it.** Along a line, the same galaxies are shown more often. Points above each other took as
# many steps, with fewer or more different galaxies. If these lie together, the galaxies are not yet the
# limit, and steps are; if more galaxies lie higher, a larger survey would help even at the same cost.
# Remember the size of luck: single points are single pretrainings, but for the base.
#
# ## Which space?
#
# One pretraining gives three spaces at no cost. The 64 numbers of $h$ are what this book uses, as the study
# that it reproduces did.

# %%
choices.spaces(study).save(run) if study else print(missing)

# %% [markdown]
# **How to read it.** Does the rank of the three depend on the judge? The neighbours take distances as they
# are; a probe with many labels can find what is hidden in small directions, one with few labels cannot.
# And the controls, for which nothing was learned (random weights, and principal components of the pixels), are the
# level that all of this chapter stands on.
#
# ## Do simulated galaxies advise well?
#
# Choices made on a simulation are useful if they hold on the sky. A point in the next figure is a change
# that was made in both studies.

# %%
plate = choices.agreement(study, other) if study and other else None
plate.save(run) if plate else print("needs two stored studies with changes in common")

# %% [markdown]
# **How to read it.** Points along the rising diagonal are advice that holds. In the lower right are
# improvements that the simulation promised and the pictures did not keep. The two bases differ, in more
# than the galaxies: compare the columns of the first table of this chapter before you blame the simulation.
#
# What mattered in the second study? (Its galaxies are pictures of SDSS galaxies with the types of Galaxy Zoo 1, and more
# pictures without a type to pretrain on; its base stamp is the central 32 pixels, not binned, which the group
# *stamps* would call 32/1.)

# %%
few = ["left out", "alone", "band scaling", "stamps"]
plate = choices.dots(other, few, "fig-choices-other") if other else None
plate.save(run) if plate else print(missing)

# %% [markdown]
# **What to see.** On the simulation no more differences lie outside the band than luck would put there; one
# change, the smallest softening, clearly hurts. On real pictures, on the contrary, two things decide. *The colour
# has to be hidden, if the other transforms are there*: without band scaling all three judges lose more than five
# points. (With *orientation only* they lose one to three: as long as two views differ by a turn alone, whatever tells
# galaxies apart tells them, and colour has to take less of the work.) *The stamp has to be cut to
# the galaxy*: with the whole stamp, at any binning, the probe with 100 labels loses more than three points. And
# nothing that was tried is better than the base. Perhaps the simulation is too tidy for this: its colours follow
# simple laws and its neighbours are simple ellipses. (That is a guess. It was not tested.) A simulation tests a
# method; to choose its settings takes the galaxies themselves.
#
# ## What helped
#
# Best first, for the first study and then for the second; a variant stands here if at least two of the three
# judges place it above the band of chance and none below. One judge alone errs too often, in one case of twenty
# each. A table without rows is a result: nothing that was tried is better than the base.

# %%
plates.show(differences.listed(study, "helped")) if study else print(missing)

# %%
plates.show(differences.listed(other, "helped")) if other else print(missing)

# %% [markdown]
# ## What did not help
#
# These hurt, in the first study and in the second: two judges or three place them below the band, and none
# above.

# %%
plates.show(differences.listed(study, "hurt")) if study else print(missing)

# %%
plates.show(differences.listed(other, "hurt")) if other else print(missing)

# %% [markdown]
# And these are not told apart from the base of the first study: no two judges agree that they matter. That is no proof that
# they change nothing; it says that luck could do the same, so that nobody should pay for it on this
# evidence.

# %%
plates.show(differences.listed(study, "not told apart")) if study else print(missing)

# %% [markdown]
# How many of the verdicts would luck alone have made? (What stands in two groups, such as a transform left out and
# its strength 0, is one pretraining and counts twice, in both numbers.)

# %%
outside = {}
for one in filter(None, (study, other)):
    name, n = one.record["name"], len(one.table) * len(differences.SCORES)
    said = [one.table[f"{score}_says"] for score in differences.SCORES]
    outside[name] = int(np.sum(np.array(said) != "not told apart")), n
    print(f"{name}: {outside[name][0]} of {n} differences lie outside the band of chance;")
    print(f"if nothing mattered, about {0.05 * n:.0f} would")
if not outside:
    print(missing)

# %% [markdown]
# ## Limits
#
# One thing is changed at a time, so that what two changes do together is not seen: a stronger transform may
# need a longer training, a larger batch another rate. The trainings are short and the encoder is small. The
# band of chance comes from few seeds and is itself uncertain, and it takes the judged galaxies as given.
# Whatever is chosen here was chosen with labels of galaxies outside the test split: no budget of labels
# counts them. And early or late is one question among many.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-seeds-needed
# ```
# Seeds cost time. By how much does the band of {eq}`eq-chance` shrink, in units of $s$, when the base is
# pretrained from 2, 3, 5, 10 or 30 seeds? Which number would you choose?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-seeds-needed
# :class: dropdown
# ```

# %%
widths = {k: differences.chance(1.0, k - 1, n=1, k=k) for k in (2, 3, 5, 10, 30)}
for k, width in widths.items():
    t = stats.t.ppf(0.975, k - 1)
    print(f"{k:2d} seeds: t = {t:5.2f}, half the band {width:5.2f} s")
    assert np.isclose(width, t * np.sqrt(1 + 1 / k))
assert widths[3] > 2 * widths[10] and widths[10] < 1.25 * widths[30]

# %% [markdown]
# With two seeds hardly anything can be claimed, since two numbers say little about their scatter. From
# two to five seeds the band shrinks a lot, from ten to thirty hardly: then the single seed of the *variant*
# is what limits. Beyond five or ten it is better to repeat the variants.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-sixty-nothings
# ```
# Make up a study in which nothing matters: five seeds of a base and sixty variants, all drawn from the same
# normal distribution. How many variants lie outside the band of {eq}`eq-chance`? Do it for two hundred such
# studies.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-sixty-nothings
# :class: dropdown
# ```

# %%
random, counts = np.random.default_rng(seed), []
for _ in range(200):
    base, variants = random.normal(0.8, 0.004, 5), random.normal(0.8, 0.004, 60)
    band = differences.chance(base.std(ddof=1), dof=4, n=1, k=5)
    counts.append(np.sum(np.abs(variants - base.mean()) > band))
print(f"outside the band: {np.mean(counts):.1f} of 60 on average")
middle, many = np.quantile(counts, [0.5, 0.9])
print(f"half of the studies have at most {middle:.0f}, one in ten at least {many:.0f}")
assert 1.5 < np.mean(counts) < 5

# %% [markdown]
# About one in twenty, as promised, on average over studies. But the sixty share one base: if its five seeds
# happen to lie close together, the band is too narrow for all of them at once. So whoever finds many small
# effects in one study should repeat the base before writing about them.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-order-noise
# ```
# Add the same noise to a faint and to a bright pixel, once in flux and then stretched by asinh, once after
# the stretch. How large is the noise that the network sees in each?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-order-noise
# :class: dropdown
# ```

# %%
normalize = Normalize("asinh", softening=0.1, low=-0.15, high=10.0)
generator = torch.Generator().manual_seed(seed)
sky, arm, core = 0.0, 0.3, 5.0  # flux of a pixel
flux = torch.tensor([sky, arm, core]).view(1, 3, 1, 1).expand(1, 3, 100, 100)
noise = 0.05 * torch.randn(flux.shape, generator=generator)
in_flux = normalize(flux + noise).std(dim=(2, 3))[0]
after = (normalize(flux) + noise).std(dim=(2, 3))[0]
for name, one, two in zip(("sky", "arm", "core"), in_flux, after, strict=True):
    print(f"{name:4}: added in flux {one:.4f}, added after the stretch {two:.4f}")
assert in_flux[0] > in_flux[1] > in_flux[2] and after.std() < 0.1 * after.mean()

# %% [markdown]
# In flux, the noise of the sky is seen where the sky is, and a bright core hardly notices it: as on a real
# exposure. After the stretch it is the same everywhere, which gives the core a noise that no detector
# makes. Whether a network minds is what the group *order* measures.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - A difference between two trainings means nothing until it is known what another seed would have done.
# - One change at a time, on galaxies outside the test split, with all that failed written down.
# - Each transform is a claim about galaxies, and its strength is part of the claim.
#
# Next: {ref}`ch-results`.

# %% tags=["hide-cell"]
found = {"study": chosen_study, "stored": bool(study), "other_stored": bool(other)}
found |= {"outside": outside}
if study:
    found |= {"n_rows": len(study.rows), "n_variants": len(study.table)}
    words = [differences.verdict(row) for row in study.table]
    found |= {"verdicts": {word: words.count(word) for word in differences.VERDICTS}}
_ = write_metrics(run, "11_choices", found, seed)
