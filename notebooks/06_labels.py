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
# (ch-labels)=
# # How few labels?
#
# *How many galaxies must a person look at before a machine can do the rest, and how many of them does a
# representation that was learned without labels save?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to read a {term}`label saving` off two curves, and what to say when one of them never
# arrives; why "not distinguished" is not "the same"; and which galaxies to have labelled if you can pay for
# fifty only.
#
# **You need** {ref}`ch-probes`.
#
# **In:** `dataset/`, `pretrain/`, `embedding/`, `probes/`; stored studies, where there are any. **Out:**
# `labels/`, `bought/`.
#
# ```{include} ../book/_generated/time_06_labels.md
# ```
# :::
#
# ## What a label costs
#
# A galaxy of Sloan was looked at by some forty volunteers before Galaxy Zoo 2 called its type known
# {cite}`willett2013galaxy`; an expert needs fewer looks, but there are fewer experts. A catalogue of fourteen
# thousand galaxies was classified by one person {cite}`nair2010catalog`. New surveys bring hundreds of millions
# of galaxies, each survey with another depth, sharpness and set of filters, and labels from one are not quite
# labels for the next.
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # of the exercises, and of what is random beside seeds and draws
label_budgets: list = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 0]  # 0 is all; cheap methods
n_label_draws: int = 5  # label draws of each budget, for methods that take a moment
n_trained_draws: int = 2  # label draws of the fully connected probe, which takes seconds
network_budgets: list = [10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 0]  # for slow methods
n_network_draws: int = 0  # label draws of slow methods: networks, SVMs; 0 is what 05_probes has
n_seeds: int = 1  # pretraining seeds; more than one needs as many pretrainings from 03_pretrain
compare_moco: bool = False  # pretrain with the other method too (MoCo beside SimCLR), and compare
saving_share: float = 0.97  # target of the label saving, as a share of the reference's best; (0, 1]
purchase_budgets: list = [20, 50, 100, 200]  # labels that are bought in different ways
studies_dir: str = "book/studies"  # where stored studies lie
label_study: str = "labels"  # the stored study of this chapter
real_study: str = "labels_real"  # a second one, of real galaxies
bought_study: str = "bought_real"  # and one of labels that were bought, of real galaxies
resume: bool = True  # take up an interrupted run, keep a finished one
supervised_epochs: int = 20  # passes of the supervised CNN over its labels
supervised_steps: int = 100  # and at least so many batches
precision: str = "auto"  # auto (bf16 where the hardware has it), 32-true or bf16-mixed

# %%
import numpy as np
from astropy.table import Table, vstack

from galclr_utils import (
    GalaxySet,
    baselines,
    choosing,
    comparison,
    curves,
    efficiency,
    label_draws,
    metrics,
    plates,
    probes,
    saving,
    score_table,
    scoreboard,
    scoring,
    studies,
    trained,
)
from galclr_utils.checks import flag, number, numbers
from galclr_utils.embedding import embed
from galclr_utils.journal import code_key, digest
from galclr_utils.label_draws import fit_seed
from galclr_utils.lineup import Lineup
from galclr_utils.morphology import morphology_features
from galclr_utils.pretrain import pretrain
from galclr_utils.probes import decorrelate, probe, standardise
from galclr_utils.provenance import run_path, run_record, write_metrics
from galclr_utils.recipe import NAMES

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
train, test = galaxies.labelled_train_test()
learn = galaxies.indices("train")


# %%
def affordable(name, asked):
    asked = numbers(name, asked, 0, np.inf, integer=True)
    if too_many := [n for n in asked if n > len(train)]:
        print(f"{name}: left out {too_many}, there are {len(train)} labels")
    return sorted({n or len(train) for n in asked if n <= len(train)})


budgets = affordable("label_budgets", label_budgets)
slow_budgets = affordable("network_budgets", network_budgets)
purchases = affordable("purchase_budgets", purchase_budgets) or [len(train)]
slow_draws = number("n_network_draws", n_network_draws, 0, 10_000, integer=True)
n_draws = {"logistic": n_label_draws, "kNN": n_label_draws}
n_draws |= {"fully connected": n_trained_draws, "SVM": slow_draws}

# %% [markdown]
# Suppose that one expert needs twenty seconds a galaxy and works seven hours a day. How long does each budget
# of this chapter take?

# %%
days = Table({"labels": budgets, "minutes": [n * 20 / 60 for n in budgets]})
days["working days"] = days["minutes"] / 60 / 7
days["minutes"].format, days["working days"].format = ".0f", ".2f"
plates.show(days)

# %% [markdown]
# ## The methods
#
# All of them meet the same label draws and the same test galaxies, as in {ref}`ch-probes`: a budget of $n$
# labels is everything labelled that a method sees, and the smaller budgets of a draw lie inside the larger.
# They differ in what they know before the first label:
#
# | method | before the first label | what the labels do |
# |---|---|---|
# | pretrained + logistic, kNN, SVM, fully connected | all training pictures, without labels | train a small probe |
# | pretrained, {term}`fine-tuned <fine-tuning>` | the same | train the whole network further |
# | pretrained, {term}`self-trained <self-training>` | the same | train a probe; its answers for the unlabelled teach the network |
# | supervised CNN | nothing | train the whole network |
# | random weights + ... | nothing | train a small probe |
# | PCA-64 + ... | all training pictures, linearly | train a small probe |
# | catalogue, morphology, colour + ... | what astronomers measure | train a small probe |
#
# The networks take long, and so does all that is repeated for many draws. Unless `n_network_draws` asks for
# more, only the cheap methods are run at every budget. The others are taken from {ref}`ch-probes`, at the
# budgets that they have there, and nothing is fine-tuned or self-trained. The whole grid is a study of its own,
# shown below where it is stored.

# %%
name = trained.method_name(run)
h = {name: trained.load_representations(run, n_seeds)}
encoders_of = trained.load_encoders(run, n_seeds)
encoder, views = encoders_of[min(h[name])], trained.load_views(run)
orientations = trained.orientations_of(run)
settings = trained.record_of(run)["settings"]
other = next(method for method in NAMES if NAMES[method] != name)
if flag("compare_moco", compare_moco):
    for k, s in enumerate(h[name]):
        part = f"{other}-seed{s}" if k else other
        pretrain(run, views, resume, part, **(settings | {"method": other, "seed": s}))
        embed(run, orientations, part)
    h[NAMES[other]] = trained.load_representations(run, n_seeds, other)
seeds = list(h[name])
print(f"pretrained: {', '.join(h)}; seeds: {seeds}")

# %%
cheap, level = Lineup(seeds), {}
for title, x in h.items():
    level[title] = {s: decorrelate(x[s], learn) for s in seeds}
    for kind in ("fully connected", "logistic"):
        cheap.probe(title, level[title], kind, n_draws[kind])
    cheap.probe(title, x, "kNN", n_draws["kNN"])
pca = {s: baselines.pca_features(galaxies, encoder.normalize, seed=s) for s in seeds}
pca = {s: decorrelate(x, learn) for s, x in pca.items()}
photometry, reasons = baselines.photometry(galaxies)
known = {title: dict.fromkeys(seeds, standardise(x, learn)) for title, x in photometry.items()}
for title, x in {"PCA-64": pca, **known}.items():
    cheap.probe(title, x, "logistic", n_draws["logistic"])
for title, reason in reasons.items():
    print(f"{title}: left out, {reason}")

# %% [markdown]
# The controls and the classical rows, where the slow ones are asked for: random weights treated as the pretrained
# encoder is, and a support vector machine on principal components, on the catalogue, and on measured shapes.

# %%
if slow_draws:
    drawn = {s: baselines.random_encoder(galaxies, encoder, seed=s + 1000) for s in seeds}
    blind = {s: e.embed(galaxies.images, orientations=orientations) for s, e in drawn.items()}
    cheap.probe("random weights", blind, "kNN", n_draws["kNN"])
    blind = {s: decorrelate(x, learn) for s, x in blind.items()}
    for kind in ("fully connected", "logistic"):
        cheap.probe("random weights", blind, kind, n_draws[kind])
    forms, note = morphology_features(galaxies, run, rows=np.concatenate([train, test]))
    print(f"morphology: {note or 'measured'}")
    shapes = {} if forms is None else {"morphology": standardise(forms, train)}
    spaces = {"PCA-64": pca} | {k: x for k, x in known.items() if k == "catalogue"}
    spaces |= {title: dict.fromkeys(seeds, x) for title, x in shapes.items()}
    for title, x in spaces.items():
        cheap.probe(title, x, "SVM", slow_draws)

# %% [markdown]
# And the networks that labels train, from scratch, from the pretrained weights, and from what a probe says of
# galaxies without labels:

# %%
journal = run / ".journal" if flag("resume", resume) else None
scores = cheap.score(galaxies, budgets, journal)
if slow_draws:
    networks = Lineup(seeds)
    recipe = {"epochs": supervised_epochs, "min_steps": supervised_steps, "precision": precision}
    networks.networks(galaxies, views, name, encoders_of, level[name], slow_draws, **recipe)
    scores += networks.score(galaxies, slow_budgets, journal)
elif (run / "probes" / "scores.csv").exists():
    slow = [curves.TAUGHT, *(f"random weights + {kind}" for kind in n_draws)]
    slow += [f"{space} + SVM" for space in ("PCA-64", "catalogue", "morphology")]
    scores += score_table.load_scores(run).only(slow)
else:
    print("no scores of 05_probes in this run: the slow methods are missing")
plain = comparison.summary(scores)
n_methods = len(set(scores.table["method"]))
print(f"{len(scores.table)} runs of {n_methods} methods on {len(test)} test galaxies")

# %% [markdown]
# ## Where is the line?
#
# Every method gives a probability of being late. To *call* a galaxy late, a line has to be drawn. At one half
# it is best for accuracy. But a classifier has learned which type is the commoner one, even if by little, and
# with few labels it has learned little else: it asks for much evidence before it names the other. Balanced accuracy,
# which counts both types alike, then measures the shares of the sample more than the galaxies. So for
# balanced accuracy all methods judge *as if both types were equally common*, up to {ref}`sec-buying`: the odds
# are divided by the odds of the labels in the budget {cite}`saerens2002adjusting`. It costs no label, changes
# no order (the {term}`AUC` stays), and is done for all alike. A probability that is coarse or wrong, such as the
# vote of a few neighbours, may lose by it. What does it change? (A dash: not run with so many labels.)

# %%
scores = score_table.even_odds(as_trained := scores, galaxies)
table = comparison.summary(scores)
for column in ("accuracy", "accuracy_low", "accuracy_high"):
    table[column] = plain[column]  # accuracy keeps its line at one half
gain = Table({"method": list(dict.fromkeys(table["method"]))})
for n in dict.fromkeys((budgets[0], min(budgets, key=lambda b: abs(b - 100)), budgets[-1])):
    found = [
        {row["method"]: row["balanced_accuracy"] for row in t if row["n_labels"] == n}
        for t in (plain, table)
    ]
    moved = [100 * (found[1].get(m, np.nan) - found[0].get(m, np.nan)) for m in gain["method"]]
    gain[f"{n} labels"] = [f"{x:+.1f}" if np.isfinite(x) else "–" for x in moved]
late = galaxies.labels[train].mean()
print(f"{late:.0%} of the training labels are late; gain of balanced accuracy, in points:")
plates.show(gain)

# %% [markdown]
# ## The curves

# %%
hero = f"{name} self-trained" if slow_draws else f"{name} + fully connected"
efficiency.label_curves(table, galaxies.card, hero).save(run)

# %% [markdown]
# **What to see.** Read a curve from left to right: how soon does it become flat? A method that is flat early
# has learned from few labels all that it will ever learn. Then compare the two that stand out. Is there a
# crossing: a number of labels below which one is ahead, and above which the other? A crossing would be no
# surprise. The whole network, taught by labels, can learn things that the pretraining had no reason to keep,
# but it needs labels for them. The figure in numbers, with a dash where a method was not run, and a star where
# it was run once:

# %%
shown = comparison.grid(table)
plates.show(shown)

# %% [markdown]
# The same as accuracy, with the line at one half, and as {term}`AUC`, which does not depend on the line: the mean
# of all runs and, behind ±, their scatter (a dash behind it where there is one run).

# %%
plates.show(comparison.grid(table, "accuracy"))


# %%
def auc(row):
    scatter = f" ± {row['roc_auc_sd']:.3f}" if np.isfinite(row["roc_auc_sd"]) else " –"
    return f"{row['roc_auc']:.3f}{scatter}"


def areas(table):
    cells = {(row["method"], row["n_labels"]): auc(row) for row in table}
    laid = Table({"method": list(dict.fromkeys(table["method"]))})
    for n in sorted(set(map(int, table["n_labels"]))):
        laid[f"{n} labels"] = [cells.get((method, n), "–") for method in laid["method"]]
    return plates.show(laid)


areas(table)

# %% [markdown]
# ## How many labels are saved?
#
# "Better with few labels" is not yet a number that one can plan with. This is: choose a target that is good
# enough, read off how many labels each method needs to get there, and divide.
#
# $$
# \text{saving} = \frac{n_\text{reference}(t)}{n_\text{method}(t)} , \qquad
# t = \text{share} \times \max_n \, \text{score}_\text{reference}(n)
# $$ (eq-saving)
#
# The reference is the supervised CNN, which is what one would do otherwise, and the target is a share of the
# best that *it* ever reaches, so that nobody is compared with a score that it cannot reach. Between two budgets
# the mean curve is taken as straight in the logarithm of $n$, and the first crossing counts.
#
# The interval comes from the bootstrap of {ref}`ch-probes`: seeds, draws and test galaxies are drawn again,
# the *same* for both methods and all budgets, and everything is done anew, the target included. Three things
# can happen in a resample, and the first is not the only one:
#
# - both curves cross the target: the saving is known;
# - the method is above it with its smallest budget already: the saving is *at least* so large; the same, the
#   other way round, if it is the reference: *at most*;
# - the method never gets there: the saving is *at most* what its largest budget allows, below 1.
#
# In the interval a bound counts for all that it allows, down to 0 or up to infinity. So an interval that begins
# at 0 says that, in at least one resample in forty, nothing bounded the saving from below. And the number in front
# is that of the mean curves: where it is an *at most*, the interval may reach beyond it, since in some resamples the
# method does get there.

# %%
names = set(table["method"])
learned = [m for m in names if m.split()[0] in h and m != curves.TAUGHT]
learned = sorted(learned, key=lambda m: (m != hero, m))
rivals = learned + [m for m in ("catalogue + SVM", "catalogue + logistic") if m in names][:1]
headline = saved = crossed = None
if curves.TAUGHT in names:
    headline = saving.label_saving(scores, hero, curves.TAUGHT, saving_share)
    crossed = saving.shared_curves(scores, hero, curves.TAUGHT)
    saved = vstack([saving.saving_curve(scores, m, curves.TAUGHT) for m in learned])
    of_all = [saving.label_saving(scores, m, curves.TAUGHT, saving_share) for m in learned]
    print(f"label saving at {saving_share:.0%} of the best of the {curves.TAUGHT}:")
    print("\n".join(f"  {row['method']}: {saving.told(row)}" for row in of_all))
else:
    print("without runs of the supervised CNN there is no saving to be told")

# %%
plate = headline and efficiency.saving_picture(crossed, headline, galaxies.card)
plate.save(run) if plate else print("no saving to be drawn")

# %% [markdown]
# **What to see.** The arrow is the saving, on an axis where equal lengths are equal *factors*. It may be short,
# or point the other way. How long is the pale bar? Where curves are flat, a small error in the score becomes a
# large one in the number of labels: no number of this kind can be sharp. Where a curve was measured counts, too: a
# network that was run with three budgets is drawn straight over a factor of ten, and a curve that bends in between
# would cross elsewhere (the stored grids below have all budgets for all methods). And it depends on the target: here is
# the whole answer.

# %%
plate = saved and efficiency.savings(saved, galaxies.card)
plate.save(run) if plate else print("no savings to be drawn")

# %% [markdown]
# **What to see.** Does the saving grow or shrink as more is asked? (Follow the filled points; a bound only says how
# far the budgets reach.) Below 1 the method needs more labels than the
# reference. If it never gets to the target with all labels there are, only a bound is left: a statement as useful
# as a large saving at an easy target. At the left end a bound may come from the other side, since the reference
# is above an easy target with its smallest budget already.
#
# ### Label by label, in pairs

# %%
pairs = comparison.compare_all(scores, [(m, curves.TAUGHT) for m in rivals])
plate = pairs and efficiency.differences_by_budget(pairs, galaxies.card)
plate.save(run) if plate else print(f"no budget at which the {curves.TAUGHT} was run too")

# %% [markdown]
# **What to see.** Follow one panel from left to right. Points above zero are in favour of the method named
# first. Grey ones are undecided with these draws and galaxies.
#
# ### Is it the learning?
#
# A network of the same shape with *random* weights is a strong rival, and the only one that tells learning from
# architecture. Here the same probes read both. Differences of balanced accuracy in points, with their 95%
# intervals; where an interval lies above zero, the pretraining has bought something.

# %%
kinds = ("fully connected", "logistic", "kNN")
blind_pairs = [(f"{name} + {kind}", f"random weights + {kind}") for kind in kinds]
untaught = comparison.compare_all(scores, blind_pairs)
laid = comparison.difference_grid(untaught)
plates.show(laid) if untaught else print("random weights were not run")

# %% [markdown]
# ## What is kept
#
# Every run of the grid becomes a row of `labels/runs.csv`, with its seed and draw; beside it lie the tables of
# this chapter and a record of how they were made. In the profile `labels` the grid is complete and takes hours
# (it can be stopped, taken up again, and shared by several processes). To show it here, copy the folder:
# `cp -r runs/labels/labels book/studies/labels`.

# %%
tables = {"runs": as_trained.table.copy(), "summary": table, "summary_as_trained": plain}
tables["runs"]["balanced_accuracy_even"] = scores.table["balanced_accuracy"]
found_pairs = comparison.compare_all(
    scores, [(f"MoCo + {kind}", f"SimCLR + {kind}") for kind in n_draws]
)
if known_pairs := pairs + untaught + found_pairs:
    tables["differences"] = Table(known_pairs)
if headline:
    tables |= {"saving": saved, "headline": Table(of_all), "headline_curves": crossed}
about = {"hero": hero, "card": studies.public_card(galaxies.card), "n_test": len(test)}
about["budgets"] = budgets
about |= {"seeds": seeds, "settings": settings, "provenance": run_record(seed)}
_ = studies.write_study(run / "labels", tables, about)
print(f"{len(scores.table)} runs in labels/runs.csv")

# %% [markdown]
# ## The whole grid
#
# :::{admonition} Not computed in this build
# :class: important
# What follows, up to {ref}`sec-buying`, takes hours. It is shown from a study that was computed earlier, where
# one is stored; the first lines say whether, and from how many galaxies, seeds and runs. The profile `labels`
# makes it.
# :::


# %%
def stored(study):
    path = studies.study_path(studies_dir, study)
    return studies.read_study(path) if path else ({}, {"card": {}})


def origin(found):
    if not found[0]:
        return "not stored with this project"
    n, about = len(found[0]["runs"]), found[1]
    when = about["provenance"]["time"][:10]
    return f"Stored study of {when}: {n} runs, seeds {about['seeds']}, {about['n_test']} test galaxies."


whole, real = stored(label_study), stored(real_study)
print(f"{label_study}: {origin(whole)}")
print(f"{real_study}: {origin(real)}")

# %%
(grid, about), said = whole, {"origin": origin(whole)}
draw = efficiency.label_curves
plate = grid and draw(grid["summary"], about["card"], about["hero"], "fig-grid", **said)
plate.save(run) if plate else print("no stored study: run the profile labels")

# %%
drawable = "headline" in grid
draw = efficiency.saving_picture
row = (grid["headline_curves"], grid["headline"][0]) if drawable else ()
plate = drawable and draw(*row, about["card"], "fig-grid-saving", **said)
plate.save(run) if plate else print("no stored study: run the profile labels")

# %%
told = [(row["method"], saving.told(row)) for row in grid["headline"]] if drawable else []
names = ("method", "label saving against the supervised CNN")
plates.show(Table(rows=told, names=names)) if told else print("no stored study")

# %%
plate = drawable and efficiency.savings(grid["saving"], about["card"], "fig-grid-shares", **said)
plate.save(run) if plate else print("no stored study: run the profile labels")

# %% [markdown]
# **What to see.** Where the study is stored: the same questions as above, now with all methods at all budgets,
# and as many pretrainings as those lines say. Does fine-tuning or self-training lie above the frozen probes
# where labels are few, where they are many, or nowhere? And the cheap ones in the lower panel: from how many
# labels on does a picture beat the catalogue?

# %%
rows = [dict(row) for row in grid["differences"]] if "differences" in grid else []
family = (about["hero"].split()[0], "catalogue") if grid else ()
taught = [row for row in rows if row["b"] == curves.TAUGHT and row["a"].split()[0] in family]
draw = efficiency.differences_by_budget
plate = taught and draw(taught, about["card"], "fig-grid-differences", **said)
plate.save(run) if plate else print("no stored study: run the profile labels")

# %% [markdown]
# And is it the learning, in the whole grid?


# %%
def blind_rows(found):
    rows = [dict(row) for row in found["differences"]] if "differences" in found else []
    return [row for row in rows if str(row["b"]).startswith("random weights")]


untaught = blind_rows(grid)
plates.show(comparison.difference_grid(untaught)) if untaught else print("no stored study")

# %% [markdown]
# ## MoCo against SimCLR
#
# {term}`MoCo` and {term}`SimCLR` are two ways to pretrain: here with the same encoder, the same views and the
# same number of epochs. Is one better? And if no difference is seen, are they *similar*? That is another
# question. A difference that is "not distinguished from zero" may be large and badly measured. To call two
# methods similar one has to say beforehand which difference would not matter, here two points, and show that
# the whole interval lies within {cite}`schuirmann1987comparison`.

# %%
both = found_pairs or [row for row in rows if str(row["a"]).startswith("MoCo")]
both = [p for p in both if not str(p["b"]).startswith(curves.TAUGHT)]
card, said = (galaxies.card, {}) if found_pairs else (about["card"], said)
plate = both and draw(both, card, "fig-moco", margin=0.02, **said)
plate.save(run) if plate else print("neither run nor stored: set compare_moco")

# %%
words = [
    (p["a"], p["n_labels"], scoreboard.verdict(p), comparison.similar(p), 100 * p["mean"])
    for p in both
]
names = ("method", "labels", "MoCo is", "to within 2 points", "points against SimCLR")
judged = Table(rows=words or None, names=names, dtype=("O", "i8", "O", "O", "f8"))
judged["points against SimCLR"].format = "+.1f"
plates.show(judged) if both else print("nothing to be judged")

# %% [markdown]
# **How to read it.** Where there is a comparison, it gets two verdicts. They answer different questions: a
# method can be *better* and *similar* at once (a small difference, well measured), and *not distinguished* and
# *undecided* (badly measured). Only *similar* is a reason to take whichever is cheaper.
#
# (sec-buying)=
# ## Which labels to buy
#
# All draws so far were stratified: each budget holds early and late types as the whole does. It makes for a
# clean comparison of methods, but nobody can buy that way, since it takes the labels of all galaxies to draw
# so few. What can be done in fact:
#
# - **random**: any galaxy is as good as any other;
# - **typical**: as many clusters in $h$ as labels, and of each the galaxy in the densest place
#   {cite}`hacohen2022active`; no label is needed for it;
# - **uncertain**: a few at random, then, in rounds, those galaxies of which the probe knows least, its
#   $p_\text{late}$ being nearest to one half.
#
# A buyer does not know the classes. If the first galaxies are all of one type, there is no classifier to be
# trained, and he has to buy on until the other turns up: he may then see a few labels more than the table
# says. What each pays for is the label of a galaxy; what is measured is a logistic probe that learned from what
# he bought, on the same test galaxies.
#
# Where does he draw the line? The shares of the types among bought galaxies will not do: uncertain ones are half
# and half, whatever the sample holds. But what was chosen *by its features* does not bend the probability of a
# type *given* the features. So the probe's mean probability over all training galaxies, bought or not, is its own
# estimate of the share of late types, and the odds are divided by the odds of that share. All
# strategies are treated so, *stratified* too.

# %%
x = level[name]
code, market = code_key(choosing, label_draws, metrics, probes), Lineup(seeds)
made = {s: f"{digest(x[s])} {code}" for s in seeds}
for strategy in (*choosing.STRATEGIES, "stratified"):
    buyer = choosing.bought_by(strategy, x, galaxies)
    market.add(strategy, buyer, n_label_draws, {s: f"{strategy} {made[s]}" for s in seeds})
sold = market.score(galaxies, purchases, journal)
of_buyers = comparison.summary(sold)
plates.show(comparison.grid(of_buyers))

# %% [markdown]
# A line can be drawn badly. The AUC does not depend on it, so it tells whether a strategy shows the classifier
# more, or only helps it to draw the line:

# %%
areas(of_buyers)

# %%
n, first = purchases[0], {"seed": seeds[0], "draw": 0}
one = sold.table[(sold.table["n_labels"] == n) & (sold.table["seed"] == first["seed"])]
one = {row["method"]: row["balanced_accuracy"] for row in one if row["draw"] == 0}
offer = x[seeds[0]][train], galaxies.labels[train], n, fit_seed(**first)
chosen = {s: train[choosing.buy(s, *offer)] for s in choosing.STRATEGIES}
efficiency.bought(galaxies, chosen, one).save(run)

# %%
versus = [(s, "random") for s in ("typical", "uncertain", "stratified")]
bought = comparison.compare_all(sold, versus)
draw(bought, galaxies.card, "fig-buying").save(run)

# %% [markdown]
# The same for the AUC, in points (hundredths), with 95% intervals:

# %%
bought_auc = comparison.compare_all(sold, versus, "roc_auc")
plates.show(comparison.difference_grid(bought_auc))

# %% [markdown]
# **What to see.** With few labels the luck of the draw is large, and there a strategy that covers the space has
# most to win. Uncertain galaxies lie near the border between the types. There the labels themselves are least
# reliable ({ref}`ch-data`), and one may fear that a handful of borderline cases does not show a classifier where
# the types *are*. Do the points bear that out, and with how many labels? Which are undecided? Then look at the
# AUC: a strategy that gains in balanced accuracy, and not there, has mostly drawn a better line.
#
# What is a chosen label worth? The label saving answers that too, with *random* as the reference:

# %%
choosy = [s for s in choosing.STRATEGIES if s != "random"]
worth = vstack([saving.saving_curve(sold, s, "random") for s in choosy])
efficiency.savings(worth, galaxies.card, "fig-buying-saving").save(run)

# %%
of_market = {"runs": sold.table, "summary": of_buyers, "differences": Table(bought)}
of_market["areas"] = Table(bought_auc)
about = {"card": studies.public_card(galaxies.card), "n_test": len(test), "seeds": seeds}
about |= {"settings": settings, "provenance": run_record(seed)}
_ = studies.write_study(run / "bought", of_market | {"saving": worth}, about)
print(f"{len(sold.table)} runs in bought/runs.csv")

# %% [markdown]
# ## Real galaxies
#
# Pictures of SDSS galaxies with the types of Galaxy Zoo 1 {cite}`lintott2011galaxy`, from a public collection: colour
# composites of 64 pixels, of which the central 32 are used, each scaled to its galaxy, compressed and stretched. The
# captions name its files: `gz1` holds the pictures with labels, `gz2_unlabelled` more pictures of Galaxy Zoo 2
# {cite}`willett2013galaxy`, whose labels are not used: the pretraining saw these too.

# %%
grid_real, about_real = real
card, told = about_real["card"], {"origin": origin(real)}
plate = grid_real and efficiency.label_curves(
    grid_real["summary"], card, about_real["hero"], "fig-real-grid", **told
)
plate.save(run) if plate else print("no stored study of real galaxies")

# %%
drawable = "headline" in grid_real
row = (grid_real["headline_curves"], grid_real["headline"][0]) if drawable else ()
plate = drawable and efficiency.saving_picture(*row, card, "fig-real-saving", **told)
plate.save(run) if plate else print("no stored study of real galaxies")

# %%
rows = [(row["method"], saving.told(row)) for row in grid_real["headline"]] if drawable else []
names = ("method", "label saving against the supervised CNN")
plates.show(Table(rows=rows, names=names)) if rows else print("no stored study of real galaxies")

# %%
rows = [dict(row) for row in grid_real["differences"]] if "differences" in grid_real else []
first = about_real["hero"].split()[0] if rows else ""
taught = [row for row in rows if row["b"] == curves.TAUGHT and row["a"].split()[0] == first]
draw = efficiency.differences_by_budget
plate = taught and draw(taught, card, "fig-real-differences", **told)
plate.save(run) if plate else print("no stored study of real galaxies")

# %% [markdown]
# Against random weights, in points:

# %%
untaught = blind_rows(grid_real)
laid = comparison.difference_grid(untaught)
plates.show(laid) if untaught else print("no stored study of real galaxies")

# %% [markdown]
# **How to read it.** Simulated galaxies have the diversity that was put into them, and no more. Where real ones
# were measured too, compare the *saving*, not the scores: labels of another origin have another ceiling.
#
# ### Which real labels to buy
#
# With more labels, and with more pretrainings, than are affordable in a short build:

# %%
market_real, about_market = stored(bought_study)
card, told = about_market["card"], {"origin": origin((market_real, about_market))}
print(f"{bought_study}: {told['origin']}")
areas(market_real["summary"]) if market_real else None

# %%
draw, rows = efficiency.differences_by_budget, [dict(r) for r in market_real.get("differences", [])]
plate = rows and draw(rows, card, "fig-real-buying", **told)
plate.save(run) if plate else print("no stored study of bought labels")

# %% [markdown]
# And of the AUC, in points:

# %%
rows = [dict(r) for r in market_real.get("areas", [])]
plates.show(comparison.difference_grid(rows)) if rows else print("no stored study of bought labels")

# %%
draw = efficiency.savings
plate = market_real and draw(market_real["saving"], card, "fig-real-buying-saving", **told)
plate.save(run) if plate else print("no stored study of bought labels")

# %% [markdown]
# **What the stored study shows** (three pretrainings, five draws each). *On these pictures it hardly matters which
# galaxies one has labelled.* From 20 to 2000 labels no strategy is distinguished from buying at random by balanced
# accuracy, and no saving from 1. By the AUC there is one exception: with 1000 labels the uncertain ones are worth a
# few tenths of a point. With fewer, the classifier does not yet know where it is in doubt. A choice that costs nothing
# remains: look at where the line is drawn.
#
# ## Limits
#
# - One question, early or late, and colour alone goes a long way with it. A rare type would need other budgets.
# - The recipes of all methods were fixed beforehand, some of them on validation galaxies of a simulated
#   survey. A recipe tuned for each budget could shift any curve; the tuning would cost labels.
# - The saving is read off mean curves. A single buyer gets a single draw, and the scatter of draws with few
#   labels is large: see the exercises.
# - Few seeds: with one pretraining its luck is not in the intervals, and with two or three the quantiles are
#   rough.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-saving-by-hand
# ```
# Read a label saving off the table of balanced accuracies above, with a ruler and a logarithm. Take the logistic
# probes of the pretrained encoder and of PCA, which have all budgets in common. Choose a target that both reach,
# interpolate each, and divide. Then let the computer do it.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-saving-by-hand
# :class: dropdown
# ```


# %%
def by_hand(method, target):
    rows = table[table["method"] == method]
    rows.sort("n_labels")
    n, score = np.log(rows["n_labels"]), np.asarray(rows["balanced_accuracy"])
    k = int(np.argmax(score >= target))  # the first budget that reaches it
    part = (target - score[k - 1]) / (score[k] - score[k - 1])
    return float(np.exp(n[k - 1] + part * (n[k] - n[k - 1])))


a, b = f"{name} + logistic", "PCA-64 + logistic"
score_a, score_b = (table["balanced_accuracy"][table["method"] == m] for m in (a, b))
low, high = max(score_a[0], score_b[0]), min(score_a.max(), score_b.max())
target = (low + high) / 2
if low < high:
    print(f"target {target:.3f}: {by_hand(b, target):.0f} labels with {b},")
    print(f"{by_hand(a, target):.0f} with {a}: a ratio of", end=" ")
    print(f"{by_hand(b, target) / by_hand(a, target):.2f}")
    n, _ = saving.crossing(table["n_labels"][table["method"] == a], score_a[:, None], [target])
    assert abs(n[0] / by_hand(a, target) - 1) < 1e-6
else:
    print("the two curves have no balanced accuracy in common")

# %% [markdown]
# The last line makes sure that the module does the same sum. Move the target up and down between the ends of
# the curves: where a curve is flat, the number of labels runs away.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-draw-luck
# ```
# You buy twenty labels, once. How much does the result depend on which twenty? Draw many times, and compare
# the scatter with the statistical error from the test galaxies alone.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-draw-luck
# :class: dropdown
# ```

# %%
n = min(20, len(train))
many = {"once": probe(x[seeds[0]], "logistic")}
luck = scoring.score_methods(many, galaxies, [n], 60, seeds[:1], workers=0)
found = np.asarray(luck.table["balanced_accuracy"])
recall = np.array([found.mean(), found.mean()])
counts = np.bincount(galaxies.labels[test], minlength=2)
error = np.sqrt((recall * (1 - recall) / counts).sum()) / 2
print(f"{n} labels, 60 draws: {found.mean():.3f}, worst {found.min():.3f}, best {found.max():.3f}")
print(f"scatter of the draws {found.std(ddof=1):.4f}; of the test galaxies about {error:.4f}")

# %% [markdown]
# The mean over draws tells which *method* is better; a buyer gets one draw. Where the scatter of the draws is
# the larger of the two, a paper that reports one draw of few labels reports luck.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-buy-yourself
# ```
# Invent a strategy of your own. One idea: start with *typical* galaxies, and spend the second half of the money
# on *uncertain* ones. Compare it with the others at one budget, by paired differences.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-buy-yourself
# :class: dropdown
# ```


# %%
def mixed(rows, y, asked, seed, draw):
    own, half = fit_seed(seed, draw), max(len(rows) // 2, 2)
    offered, labels = x[seed][train], galaxies.labels[train]
    bought = choosing.buy("typical", offered, labels, half, own)
    p_late = probes.fit_probe("logistic", offered[bought], labels[bought], offered, own)
    order = [k for k in np.argsort(abs(p_late - 0.5)) if k not in set(bought)]
    bought = np.append(bought, order[: len(rows) - len(bought)]).astype(int)
    both = x[seed][np.concatenate([learn, asked])]
    p_late = probes.fit_probe("logistic", offered[bought], labels[bought], both, own)
    return choosing.equal_by_expectation(p_late[len(learn) :], p_late[: len(learn)])


n = purchases[len(purchases) // 2]
mine = scoring.score_methods({"mixed": mixed}, galaxies, [n], n_label_draws, seeds)
mine += sold.only(choosing.STRATEGIES)
for p in comparison.compare_all(mine, [("mixed", s) for s in choosing.STRATEGIES]):
    print(f"{n} labels, mixed minus {p['b']}: {p['mean']:+.3f} [{p['low']:+.3f}, {p['high']:+.3f}]")

# %% [markdown]
# Only the labels of bought galaxies may be used on the way. The module's tests check that of its own
# strategies by changing all other labels: nothing that is bought may change. Would yours pass?
# ```{solution-end}
# ```
#
# ## Take-away
#
# - A label saving is a ratio of label counts at a stated target, with an interval, and sometimes only a bound.
# - "Similar" has to be shown; "no difference was found" does not show it.
# - Which galaxies are labelled is a choice, too: compare strategies at the budget that you can pay.
#
# Next: {ref}`ch-audit`.

# %% tags=["hide-cell"]
columns = ("method", "n_labels", "balanced_accuracy", "balanced_accuracy_low")
columns += ("balanced_accuracy_high", "accuracy", "roc_auc")
scored = [{column: row[column] for column in columns} for row in table]
found = {"hero": hero, "saving": headline, "scores": scored, "n_test": len(test)}
found |= {"comparisons": pairs, "buying": bought, "moco": both}
_ = write_metrics(run, "06_labels", found, seed)
