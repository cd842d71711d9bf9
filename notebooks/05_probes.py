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
# (ch-probes)=
# # What is it worth?
#
# *How well can early and late types be told apart from 64 numbers that were learned without labels, with
# how few labels, and is that better than much simpler ideas?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to judge a representation by a {term}`probe`; why no score stands alone; what an
# interval over label draws and test galaxies means, and what it leaves out.
#
# **You need** {ref}`ch-pretrain`; {ref}`ch-umap` helps.
#
# **In:** `dataset/`, `pretrain/`, `embedding/representation.npy`. **Out:** `probes/scores.csv`,
# `probes/predictions.npz`, `morphology/`.
#
# ```{include} ../book/_generated/time_05_probes.md
# ```
# :::
#
# ## The question, made fair
#
# A *probe* is a small classifier trained on frozen representations with a few labels. If it does well,
# the types were laid out in $h$ so that a simple rule finds them. The study that is reproduced here used
# a fully connected network on the representations of 10,000 galaxies and reported about 85 per cent,
# similar to a supervised network {cite}`sarmiento2020sea`.
#
# Is that much? Three catalogue numbers reach 88 to 91 per cent on bright Sloan galaxies
# {cite}`park2005morphology`. So every score here is printed beside the others, on the same test
# galaxies and from the same labels:
#
# | method | what it sees | why it is here |
# |---|---|---|
# | majority | nothing | the floor |
# | colour | two colours, or the mean of each band | the shortcut |
# | catalogue | colours, magnitude, size, concentration | what needs no picture |
# | morphology | concentration, asymmetry, smoothness, Gini, M20, shape, size | what was measured before networks |
# | PCA-64 | 64 principal components of the pixels | as many numbers, no learning |
# | random weights | 64 numbers of a network that was never trained | what the architecture alone gives |
# | SimCLR or MoCo | 64 numbers learned without labels | the subject |
# | supervised CNN | pixels and labels | the same network, trained for the task |
#
# **A budget of $n$ labels is everything labelled that a method sees**: the training, and the choice of a
# penalty. Nothing is stopped early: all schedules are fixed before the first label is seen. (What is fixed,
# such as the strengths of the transforms and the length of the schedules, is a setting of this book. Some
# of it was chosen on validation galaxies of a simulated survey, and no budget counts those labels.)
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # first seed of the methods that are trained here, and of PCA
n_labels: list = [100, 1000, 0]  # label budgets; 0 is all labelled training galaxies
n_seeds: int = 1  # pretraining seeds; more than one needs as many pretrainings from 03_pretrain
n_draws: int = 5  # label draws of each budget
n_draws_supervised: int = 2  # label draws of the supervised CNN, which is slow; one with all labels
n_draws_all: int = 2  # at most so many with all labels: there they are the same labels
n_morphology: int = 100  # largest budget of the rows from morphology, slow to measure; 0 is all
n_draws_morphology: int = 2  # label draws of these rows, and of the section on numbers
n_types: int = 1000  # T-types in the budget of the section on numbers; 0 is all
supervised_epochs: int = 20  # passes of the supervised CNN over its labels
supervised_steps: int = 100  # and at least so many batches
precision: str = "auto"  # auto (bf16 where the hardware has it), 32-true or bf16-mixed

# %%
import numpy as np
from astropy.table import Table

from galclr_utils import (
    GalaxySet,
    baselines,
    comparison,
    load_encoder,
    plates,
    regression,
    regression_comparison,
    score_table,
    scoreboard,
    scoring,
)
from galclr_utils.checks import number, numbers
from galclr_utils.label_draws import draw_labels, draw_numbers
from galclr_utils.metrics import scores as all_scores
from galclr_utils.morphology import morphology_features
from galclr_utils.probes import decorrelate, fit_probe, probe, standardise
from galclr_utils.provenance import run_path, write_metrics
from galclr_utils.supervised import SupervisedCNN
from galclr_utils.trained import load_representations, load_views, method_name

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
train, test = galaxies.labelled_train_test()
print(f"{len(train)} labelled training galaxies, {len(test)} labelled test galaxies")

# %%
asked = numbers("n_labels", n_labels, 0, len(train), integer=True)
budgets = sorted({n or len(train) for n in asked})
few_draws = number("n_draws_supervised", n_draws_supervised, 1, 10_000, integer=True)
draws_all = number("n_draws_all", n_draws_all, 1, 10_000, integer=True)
h = load_representations(run, number("n_seeds", n_seeds, 1, 1000, integer=True))
encoder, learned = load_encoder(run / "pretrain" / "encoder.pt"), method_name(run)
print(f"budgets: {budgets} labels; pretraining: {learned}, seeds {list(h)}")

# %% [markdown]
# ## The competitors
#
# PCA and the random network are given what the pretrained encoder has: the same normalisation, the same number of
# features, and (for the network, the control that {ref}`ch-pretrain` kept) the same mean over orientations and
# batch-norm statistics from training galaxies. The strongest control is the one that is treated best.
#
# Before a probe is *trained* on one of the three spaces, the space is turned to its principal axes and
# their scales are brought nearer to each other, from training galaxies, without labels: else a few
# directions of large variance drown the others. The kNN vote takes each space as it is. Nothing is trained
# there, and the distances themselves are what it judges.

# %%
pca = {s: baselines.pca_features(galaxies, encoder.normalize, seed=s) for s in h}
untrained = load_representations(run, len(h), name="untrained")
photometry, reasons = baselines.photometry(galaxies)
for name, reason in reasons.items():
    print(f"{name}: left out, {reason}")

# %%
learn = galaxies.indices("train")  # labelled or not
methods, levels = {"majority": baselines.majority}, {}
for name, x in photometry.items():
    levels[name] = {s: standardise(x, learn) for s in h}
    methods[f"{name} + logistic"] = probe(levels[name], "logistic")
for name, space in {"PCA-64": pca, "random weights": untrained, learned: h}.items():
    levels[name] = {s: decorrelate(x, learn) for s, x in space.items()}
    for kind in ("fully connected", "logistic"):
        methods[f"{name} + {kind}"] = probe(levels[name], kind)
    methods[f"{name} + kNN"] = probe(space, "knn")

# %% [markdown]
# ### The classical way
#
# Before networks, a {term}`support vector machine` (SVM) on measured numbers was the usual way
# {cite}`huertascompany2011revisiting`. It draws a curved border as far from both types as it can.
# Cross-validation within the budget chooses how curved it is, and makes probabilities of the distances from it.
# It gets three kinds of numbers here: the catalogue's, the principal components, and shapes that are measured
# on the stamp.

# %%
for name in ("catalogue", "PCA-64"):
    if name in levels:
        methods[f"{name} + SVM"] = probe(levels[name], "svm")
print(f"{len(methods)} methods so far")

# %% [markdown]
# The shapes are {term}`concentration`, {term}`asymmetry`, smoothness (how much light is in clumps), the
# {term}`Gini coefficient` and $M_{20}$ (how the brightest fifth of the light is spread), as statmorph
# measures them {cite}`rodriguezgomez2019optical`, with the ellipticity and the Petrosian radius. Each
# galaxy is first told from its neighbours. That is slow, so only galaxies that are used are measured.

# %%
cheap = [n for n in budgets if n <= (n_morphology or len(train))]
shape_draws = number("n_draws_morphology", n_draws_morphology, 1, 10_000, integer=True)
known = galaxies.labels[train]
layout = [(n, d, s) for n in cheap for d in range(shape_draws) for s in h]
used = [train[draw_labels(known, n, d, s)] for n, d, s in layout]
measured, note, shapes = None, "no budget is small enough", {}
if used:
    measured, note = morphology_features(galaxies, run, np.concatenate([*used, test]))
print(f"morphology: {note}")
if measured is not None:
    learned_from = np.unique(np.concatenate(used))
    levels["morphology"] = {s: standardise(measured, learned_from) for s in h}
    shapes = {"morphology + SVM": probe(levels["morphology"], "svm")}  # NaN where not used

# %% [markdown]
# ## The supervised network
#
# The same encoder, the same random views, and a mean over eight orientations, but trained with labels from
# the first step. It is trained once for each budget and draw, so it gets fewer draws; they are the same
# labels as the first draws of the probes. With all labels there is only one set to draw, and it is trained
# once for each pretraining seed.
#
# All methods are trained now, side by side on the cores, or one after another where there is a GPU.

# %%
recipe = {"encoder": encoder.name, "representation_dim": encoder.representation_dim}
recipe |= {"epochs": supervised_epochs, "min_steps": supervised_steps, "precision": precision}
supervised = SupervisedCNN(galaxies, load_views(run), **recipe)
taught = "supervised CNN"
draws = dict.fromkeys(methods, n_draws) | {taught: few_draws}
most = dict.fromkeys(methods, draws_all) | {taught: 1}
every = {**methods, taught: supervised}
found = scoring.score_methods(every, galaxies, budgets, draws, h, draws_all=most, workers=0)
scores = found.only(methods)
if shapes:
    scores += scoring.score_methods(shapes, galaxies, cheap, shape_draws, seeds=h, workers=0)
scores += found.only([taught])
_ = score_table.save_scores(run, scores)
print(f"{len(scores.table)} runs on {len(test)} test galaxies in probes/scores.csv")

# %% [markdown]
# ## The table
#
# *Balanced* accuracy is the mean of the accuracies on early and late types, so it cannot be raised by
# preferring the commoner one. In brackets are 95 per cent intervals. With all labels the draws are the same
# labels, and the runs of a probe differ only in what is random in it. A star marks a single run: its
# interval comes from the test galaxies alone. A dash: not run with so many labels.


# %%
table = comparison.summary(scores)
plates.show(comparison.grid(table))

# %% [markdown]
# And the plain accuracy, which papers quote most often:

# %%
plates.show(comparison.grid(table, "accuracy"))

# %%
scoreboard.score_curves(table, galaxies.card).save(run)

# %% [markdown]
# **What to see.** Look along a vertical first: with the same labels, what is the *cheapest* method that
# comes close to the best? Then follow a line: how fast does a method gain from labels, and does it still
# rise at the end?
#
# ### What the intervals mean
#
# An interval answers: if other galaxies had been tested, and other labels bought, where would the score
# have come out? It is a {term}`bootstrap`, done level by level: pretraining seeds, label draws and test
# galaxies are drawn again with replacement. More draws alone cannot shrink it to nothing, since the test
# galaxies stay the same few. With one pretraining seed the interval says nothing of how another
# pretraining would have done; the caption of the figure gives the number of seeds.
#
# ## Does the pretrained encoder beat them?
#
# Two intervals that overlap do not tell whether one method is better: both methods find the same galaxies
# hard. So the *difference* is bootstrapped, pair by pair, on the same draws and galaxies. One method
# *beats* another, it is *better*, if the interval of the difference lies above zero. It is *worse* if the
# interval lies below, and otherwise the two are *not distinguished*, which is no proof that they are equal.
# The encoder is judged with the fully connected probe, as in the poster; the last column counts the runs that
# both methods have.


# %%
def line(p):
    interval = f"{p['mean']:+.3f} [{p['low']:+.3f}, {p['high']:+.3f}]"
    return p["b"], p["n_labels"], scoreboard.verdict(p), interval, p["n_runs"]


hero = f"{learned} + fully connected"
rivals = ["PCA-64 + fully connected", "random weights + fully connected"]
rivals += [f"{name} + logistic" for name in photometry]
rivals += [m for m in ("catalogue + SVM", "morphology + SVM") if m in scores.table["method"]]
have = dict.fromkeys((row["method"], row["n_labels"]) for row in table)
both = [(b, n) for b in [*rivals, taught] for n in budgets if (b, n) in have]
pairs = [comparison.compare(scores, hero, b, n) for b, n in both]
names = ("competitor", "labels", f"{learned} is", "difference", "runs")
plates.show(Table(rows=[line(p) for p in pairs], names=names))

# %%
scoreboard.differences(pairs, galaxies.card).save(run)

# %% [markdown]
# **What to see.** Points right of zero are in favour of the pretrained encoder. A bar that crosses zero is a comparison
# that these galaxies and draws cannot decide. Be as curious about the rows that are undecided or lost:
# undecided against catalogue numbers or PCA means that a cheaper method was enough; lost against the
# supervised CNN means that labels taught the network something that the pretraining did not.
#
# ### Accuracy or balanced accuracy?
#
# Accuracy counts galaxies, so a method gains by leaning towards the commoner type. Balanced accuracy counts
# both types alike. Against the network that was taught with labels, do the two tell the same story?

# %%
rows = []
for n in budgets:
    for score in ("balanced_accuracy", "accuracy"):
        p = comparison.compare(scores, hero, taught, n, score)
        _, _, word, interval, _ = line(p)
        rows.append((n, score.replace("_", " "), word, interval))
names = ("labels", "score", f"{learned} is", f"difference from the {taught}")
plates.show(Table(rows=rows, names=names))

# %% [markdown]
# **How to read it.** Where the two rows of a budget differ, the methods draw the line between early and
# late in different places: one is more generous with the name *late* than the other. Then neither score
# alone says which is better, and it must be said beforehand which mistake costs more.
#
# The area under the ROC curve ({term}`AUC`) does not depend on that line. It is the probability that a late
# galaxy is given a higher probability of being late than an early one: 0.5 for a coin, 1 if the order is
# perfect. Here it stands beside the share of galaxies that a method calls late, and the {term}`precision` and
# {term}`recall` of the *late* class, all with the largest budget; a method that was not run with it is left
# out.


# %%
def details(method):
    runs = scores.runs(method, 0)  # its own largest budget
    called = (scores.p_late[runs] > 0.5).mean()
    columns = ("accuracy", "precision", "recall", "roc_auc")
    n = int(scores.table["n_labels"][runs[0]])
    return method, n, called, *(np.mean(scores.table[name][runs]) for name in columns)


names = ("method", "labels", "called late", "accuracy", "precision", "recall", "AUC")
most = [method for method, n in have if n == budgets[-1]]
largest = Table(rows=[details(method) for method in most], names=names)
for name in names[2:]:
    largest[name].format = ".3f"
print(f"{galaxies.labels[test].mean():.3f} of the test galaxies are labelled late")
plates.show(largest)

# %% [markdown]
# ## Which galaxies are hard?

# %%
known_type = "ttype" in galaxies.catalog.colnames
two = [hero, taught]
plate = scoreboard.accuracy_by_type(galaxies, scores, two) if known_type else None
plate.save(run) if plate else print("this catalogue has no T-types")

# %% [markdown]
# **What to see.** Where is the valley of each method, and does it lie at the border between the types?
# There the labels themselves are a matter of opinion, and a coin would be right half the time (few galaxies lie
# there: mind the bars before you believe a point below one half). Where the true types are known, the dashed line
# says how often they agree with the labels, and what is left below it is what a method could still gain. Is one
# curve the higher on one side of the border and the lower on the other? Then it leans towards one type,
# and that is how two scores come to disagree.

# %%
if "true_label" in galaxies.catalog.colnames:
    truth = np.asarray(galaxies.catalog["true_label"])[test]
    agree = np.mean(truth == galaxies.labels[test])
    print(f"the true types agree with {agree:.1%} of the test labels")

# %% [markdown]
# ## A number instead of a name
#
# Early and late are two halves of a sequence. Its places are the {term}`T-types <T-type>`, and networks have
# been taught to give them {cite}`dominguezsanchez2018improving`. Do the frozen features know the place, not
# only the half? Every method now sees *T-types* of galaxies (where all galaxies have both, of those whose
# labels it saw before) and is asked for a number. *Ridge* is a linear regression that keeps its coefficients
# small: the linear probe of this section. Where the catalogue has no T-types, this section is left out.

# %%
numbered = [regression.known(galaxies, split) for split in ("train", "test")]
asked = number("n_types", n_types, 0, 10**9, integer=True)
bought = min(asked or len(numbered[0]), len(numbered[0]))
ask = bought > 1 and len(numbered[1]) > 0
known = galaxies.labels[numbered[0]]
places = [draw_numbers(known, bought, d, s) for d in range(shape_draws) for s in h]
needed = np.concatenate([*(numbered[0][place] for place in places), numbered[1]])
at_hand = {n: x for n, x in levels.items() if n not in ("colour", "band means")}
if "morphology" in at_hand and not np.isfinite(measured[needed]).all():
    print("morphology: left out, not all of these galaxies were measured")
    del at_hand["morphology"]
types = {f"{learned} + ridge": regression.regressor(levels[learned], "ridge")}
for name, x in at_hand.items():
    types[f"{name} + fully connected"] = regression.regressor(x, "fully connected")
print(f"{bought} T-types to learn from" if ask else "this catalogue has no T-types")

# %%
if ask:
    predictions = regression.score_regressions(types, galaxies, [bought], shape_draws, h, workers=0)
    pixels = {taught: SupervisedCNN(galaxies, load_views(run), task="regression", **recipe)}
    predictions += regression.score_regressions(pixels, galaxies, [bought], 1, h)
    of_types = regression_comparison.summary(predictions)
plates.show(regression_comparison.grid(of_types)) if ask else None

# %% [markdown]
# All but $R^2$ are in steps of T-type. The RMSE is the root of the mean squared error, the bias the mean error,
# and the MAE the mean error without its sign. The scatter is 1.48 times the median distance from the median
# error, so that a few gross errors do not count. $R^2$ is the share of the variance that is explained: 0 for
# who always says the mean. Intervals are as above; a star marks a single training.

# %%
drawn = [hero, "PCA-64 + fully connected", taught]
plate = scoreboard.predicted_types(predictions, drawn, bought, galaxies.card) if ask else None
plate.save(run) if plate else print("no figure without T-types")

# %%
rows = []
for b in [m for m in of_types["method"] if m != hero] if ask else []:
    p = regression_comparison.compare(predictions, hero, b, bought)
    interval = f"{p['mean']:+.2f} [{p['low']:+.2f}, {p['high']:+.2f}]"
    rows.append((b, scoreboard.verdict(p), interval, p["n_runs"]))
names = ("competitor", f"{learned} is", "smaller RMSE by", "runs")
plates.show(Table(rows=rows, names=names)) if rows else print("nothing to compare")

# %% [markdown]
# **What to see.** A median that is flatter than the dashed line is the mark of a method that is not sure: it
# moves towards the mean, and the ends of the sequence come out too near. How far apart are the methods,
# compared with the scatter of each? And do they stand in the order of the table of types, at about as many
# labels? (A positive difference says that the pretrained encoder has the smaller error.)
#
# ## Limits
#
# One data set, one encoder, few draws. The labels carry the scatter of {ref}`ch-data`, so no method can
# be expected to agree with them more often than the true types do. And all of this asks one question, early
# or late; a representation that is good at it may be poor at bars or mergers.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-standard-error
# ```
# How large is the statistical error of an accuracy from the test galaxies alone? Compare it with the
# intervals in the table, for the smallest and the largest budget.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-standard-error
# :class: dropdown
# ```

# %%
for n in dict.fromkeys((budgets[0], budgets[-1])):
    row = table[(table["method"] == hero) & (table["n_labels"] == n)][0]
    value = row["accuracy"]
    error = 1.96 * (value * (1 - value) / len(test)) ** 0.5
    below, above = value - row["accuracy_low"], row["accuracy_high"] - value
    print(f"{n} labels: binomial ±{error:.4f}; in the table -{below:.4f} +{above:.4f}")

p_late = scores.p_late[scores.runs(hero, 0)[0]]
right = (p_late > 0.5) == (scores.label == 1)  # one run: draw its test galaxies again
redrawn = np.random.default_rng(seed).choice(right, (2000, len(right))).mean(axis=1)
binomial = (right.mean() * (1 - right.mean()) / len(right)) ** 0.5
assert abs(redrawn.std() - binomial) <= 0.2 * binomial

# %% [markdown]
# For one run the bootstrap over test galaxies *is* the binomial error: the last lines make sure of it. The
# table's interval is that of a *mean over draws*, and two things pull it in opposite directions. The draws
# differ in how well they teach, which widens it. And where they disagree about a galaxy, their mean depends
# less on whether just this galaxy was in the test set, which narrows it: with few labels the draws disagree
# about many. So it can come out on either side of the binomial error, and seldom far from it. A difference of
# half a per cent between two papers' accuracies means nothing if each tested on two thousand galaxies of its own.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-permuted
# ```
# A probe finds structure in anything if it has enough numbers to play with. Take at most 100 training
# galaxies, shuffle their labels, and train the fully connected probe on $h$; do it again with other galaxies.
# How well does it know these *training* labels? And what should it score on test galaxies?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-permuted
# :class: dropdown
# ```

# %%
level, truth = decorrelate(h[min(h)], learn), galaxies.labels[test]
random, found = np.random.default_rng(seed), []
for k in range(20):
    some = train[draw_labels(galaxies.labels[train], min(100, len(train)), k, seed)]
    shuffled = random.permutation(galaxies.labels[some])
    x = level[np.concatenate([some, test])]
    p_late = fit_probe("fully connected", level[some], shuffled, x, seed=k)
    by_heart = np.mean((p_late[: len(some)] > 0.5) == shuffled)
    p_late = p_late[len(some) :]
    on_test = all_scores(truth, p_late)
    own = np.mean(p_late > 0.5), on_test["balanced_accuracy"], on_test["roc_auc"]
    found.append((by_heart, *own))
late = galaxies.labels[some].mean()
print(f"share of the commoner type in the training labels: {max(late, 1 - late):.3f}")
names = ("accuracy on training labels", "called late", "balanced accuracy", "AUC")
mean, scatter = np.mean(found, axis=0), np.std(found, axis=0)
for name, value, one in zip(names, mean, scatter, strict=True):
    print(f"{name}: {value:.3f} on average, scatter {one:.3f}")
assert not abs(mean[3] - 0.5) > 6 * scatter[3] / 20**0.5 + 0.1

# %% [markdown]
# There is nothing to know in shuffled labels but which type is commoner. What the probe gets right on its
# training labels beyond that share, it has learned by heart: with so many numbers a galaxy, few labels can
# be. That is why scores are measured on other galaxies. There balanced accuracy and AUC are one half on
# average; had they come out clearly higher, test labels would have leaked into the training. A *single*
# shuffle may miss one half by more than the luck of the test galaxies: it picks a direction in $h$, and most
# directions go a little with type, forwards or backwards.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - A score means something beside colour, catalogue, PCA, random weights and supervision on the same
#   galaxies, with an interval.
# - Paired differences decide who beats whom.
# - Fewer labels are where a learned representation can show what it is worth.
#
# Next: {ref}`ch-labels`.

# %% tags=["hide-cell"]
columns = ("method", "n_labels", "accuracy", "balanced_accuracy")
scored = [{name: row[name] for name in columns} for row in table]
found = {"n_test": len(test), "n_seeds": len(h), "comparisons": pairs, "scores": scored}
found |= {"method": learned, "morphology": note}
if ask:
    found["t_types"] = [dict(zip(of_types.colnames, row, strict=True)) for row in of_types]
_ = write_metrics(run, "05_probes", found, seed)
