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
# (ch-audit)=
# # What did it learn?
#
# *A classifier is right for a reason. Is the reason the shape of the galaxy, or its colour, its
# brightness, the weather?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to find out what a classifier uses, by taking it away; to ask a representation for what
# it should not know; when a probability can be trusted; what noise in the labels does to a score; and what
# is left of it on a worse night, or in another survey.
#
# **You need** {ref}`ch-probes`.
#
# **In:** `dataset/`, `pretrain/`, `embedding/`, `probes/`. **Out:** figures; `audit/`, where the *arms* of an
# experiment (networks alike but for one thing) are pretrained.
#
# ```{include} ../book/_generated/time_07_audit.md
# ```
# :::
#
# A score says how often. This chapter asks why, with five kinds of question: *group* the test galaxies and
# see where a method fails; *change* the stamps and see what it misses; *search* the representation for what
# should not be in it; *check* whether its doubts are honest; *move* it to where it was not trained. Nothing is
# tuned here, and every number comes from test galaxies, but for the section on single transforms, which uses
# those of validation, and for temperatures, which are fitted within the budget of labels.
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # seed of what is drawn and trained here
audit_labels: int = 500  # label budget of the classifiers that are trained here
audit_galaxies: int = 300  # test galaxies that are shown in every version
audit_draws: int = 2  # label draws of the probes that are trained here
arm_epochs: int = 0  # passes of two more pretrainings, in colour and without; 0 shows stored ones
arm_galaxies: int = 0  # training galaxies of these; 0 is all
audit_supervised: bool = True  # whether to train one supervised CNN for the changed stamps
supervised_epochs: int = 20  # passes of the supervised CNN over its labels
supervised_steps: int = 100  # and at least so many batches
calibrate_supervised: bool = False  # whether one more supervised CNN is trained for its temperature
precision: str = "auto"  # auto (bf16 where the hardware has it), 32-true or bf16-mixed
other_run: str = ""  # folder of a finished run of another survey, to exchange encoders with
studies_dir: str = "book/studies"  # where stored studies lie

# %%
import numpy as np
from astropy.table import Table

from galclr_utils import (
    GalaxySet,
    arms,
    audit,
    baselines,
    calibration,
    colours,
    inspections,
    load_encoder,
    nights,
    nuisances,
    plates,
    score_table,
    scoreboard,
    scoring,
    shifts,
    surveys,
    trust,
)
from galclr_utils.checks import flag, number
from galclr_utils.device import best_device
from galclr_utils.label_draws import draw_labels
from galclr_utils.probes import decorrelate, probe
from galclr_utils.provenance import run_path, write_metrics
from galclr_utils.studies import read_study, study_path
from galclr_utils.supervised import SupervisedCNN
from galclr_utils.trained import load_representation, load_views, method_name, orientations_of

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
train, test = galaxies.labelled_train_test()
scores = score_table.load_scores(run)
card, labels = galaxies.card, galaxies.labels
print(f"{len(scores.table)} runs of chapter 05 on {len(scores.label)} test galaxies")

# %%
found = {}
learner = method_name(run)
hero, taught = f"{learner} + fully connected", "supervised CNN"
wanted = [hero, taught, "PCA-64 + fully connected"]
wanted += ["colour + logistic", "band means + logistic"]
cast = [name for name in wanted if name in set(scores.table["method"])]
encoder = load_encoder(run / "pretrain" / "encoder.pt")
orientations = orientations_of(run)
h, learn = load_representation(run), galaxies.indices("train")
print(f"the pretrained encoder is called {learner}; on trial: {', '.join(cast)}")

# %% [markdown]
# ## Colour: who takes the shortcut?
#
# Early types are red and late types blue, most of them. A classifier that has learned *red means early* is
# right most of the time, and wrong about just those galaxies for which one would ask a classifier: the red
# spirals and the blue ellipticals. That is a {term}`shortcut` {cite}`geirhos2020shortcut`.
#
# So sort the test galaxies by type *and* colour. Red is what lies above the border that separates training
# galaxies best; the border is all that a classifier of one colour could learn.

# %%
if len(card["bands"]) > 1:
    values, colour_name = colours.colour(galaxies)
    border = audit.colour_border(values[train], labels[train])
    groups = audit.colour_groups(values[test], labels[test], border)
    table = audit.score_groups(scores, cast, groups)
    plate = inspections.colour_groups(table, card, border, colour_name).save(run)
    found["groups"] = {f"{r['group']}, {r['method']}": r["mean"] for r in table}
else:
    plate = print("one band: this set has no colour")
plate

# %% [markdown]
# **What to see.** The two groups that go with the rule, red early and blue late, and the two against it. A
# classifier of this one colour would be right on the first and wrong on the second. How far does each of the others fall
# from the first to the second? A method that used shape alone would not fall because of the colour. (It
# might fall a little all the same: a red late type is often an early spiral with a large bulge, hard by its
# shape, too.)
#
# ### Pairs of equal colour
#
# The fairest test of colour is to make it useless. Each early test galaxy is paired with a late one of the
# same colour, as long as there are any. Among the paired, as many are early as late at every colour, so
# knowing the colour is worth nothing: a coin.

# %%
if len(card["bands"]) > 1:
    pairs = audit.matched_pairs(values[test], labels[test])
    every = np.ones(len(test), bool)
    matched = audit.score_groups(scores, cast, {"all": every, "paired": pairs.ravel()})
    print(f"{len(pairs)} pairs of an early and a late type with the same {colour_name}")
    found["pairs"] = {r["method"]: r["mean"] for r in matched if r["group"] == "paired"}
    matched.remove_columns(["n_seeds", "n_runs"])
    for name in ("mean", "low", "high"):
        matched[name].format = ".3f"
plates.show(matched) if len(card["bands"]) > 1 else print("one band: no pairs")

# %% [markdown]
# **What to see.** The table gives the accuracy with its 95% interval, on all test galaxies and on the paired
# ones. Among the paired, the row of colour alone should fall towards 0.5. (Not always to it: it may use two
# colours, or the brightness of each band, and only one colour was matched.) What another method keeps above a
# half is shape, size, brightness: anything but this colour.
#
# ## Take the colour away
#
# Groups are observations, and red spirals differ from blue ones in more than colour. An experiment is
# better: the *same* galaxy with another colour. Below are three, in rising order of violence.
#
# - *same colour*: each band is scaled as a whole until the galaxy has the mean colour of training galaxies.
# - *no colour*: all bands show the same picture, their sum. Red bulges in blue discs are gone, too.
# - *another's*: each galaxy gets the colour of one of the other type.
#
# Some galaxies are then seen on worse nights, for a later section. The classifiers are trained once, on
# stamps as they are, and judge all versions of the same test galaxies.

# %%
few = number("audit_galaxies", audit_galaxies, 20, 10**7, integer=True)
judged = test[draw_labels(labels[test], min(few, len(test)), seed=seed)]
n_learn = min(number("audit_labels", audit_labels, 10, 10**7, integer=True), len(train))
pool = train[draw_labels(labels[train], min(2 * n_learn, len(train)), seed=seed)]
stamps = np.asarray(galaxies.images[judged], np.float32)
versions = {"as observed": stamps}
print(f"{len(judged)} test galaxies; {n_learn} labels from a pool of {len(pool)}")

# %%
if len(card["bands"]) > 1:
    mean = colours.band_shares(galaxies.images[pool]).mean(axis=0)
    own, partner = colours.band_shares(stamps), colours.partners(labels[judged], seed)
    versions["same colour"] = colours.recolour(stamps, mean, card)
    versions["no colour"] = colours.luminance(stamps, mean, card)
    versions["another's"] = colours.recolour(stamps, own[partner], card)
recoloured = list(versions)

# %% [markdown]
# The nights: the seeing becomes 1.5 and 2.5 times the median of the set, and the noise of the sky 2 and 6 times
# what it was.

# %%
seeing, known_from = nights.seeing_px(galaxies, judged)
typical = float(np.median(seeing))
for times in (1.5, 2.5):
    blur = nights.blur_to(seeing, times * typical)
    versions[f"seeing x{times:g}"] = nights.degrade(stamps, card, blur, seed=seed)
for depth in (2, 6):
    versions[f"noise x{depth}"] = nights.degrade(stamps, card, 0, depth, seed=seed)
print(f"seeing ({known_from}): median {typical:.2f} pixels")
print(f"{len(versions)} versions: {', '.join(versions)}")

# %% [markdown]
# PCA and the network with random weights are those of {ref}`ch-probes`, set up on the training galaxies as they
# were observed; all probes are fully connected.

# %%
world = shifts.versions(galaxies, pool, judged, versions)
control = load_encoder(run / "pretrain" / "untrained.pt")
for network in (encoder, control):
    network.to(best_device())
shown = encoder.embed(world.images[len(pool) :], orientations=orientations)
spaces = {
    learner: np.concatenate([h[pool], shown]),
    "PCA-64": baselines.Pixels(galaxies, encoder.normalize, seed=seed).embed(world.images),
    "random weights": control.embed(world.images, orientations=orientations),
}

# %%
first, methods = np.arange(len(pool)), {}
for name, x in spaces.items():
    fit = probe(decorrelate(x, first), "fully connected")
    methods[f"{name} + fully connected"] = fit
tried = scoring.score_methods(methods, world, [n_learn], audit_draws)

# %% [markdown]
# One supervised network is trained on the first draw of the same labels. (It costs more than all the probes
# together, so there is one of it; set `audit_supervised` to false to do without.)

# %%
views, training = load_views(run), {"epochs": supervised_epochs, "precision": precision}
training["min_steps"] = number("supervised_steps", supervised_steps, 1, 10**9, integer=True)
shape = views, encoder.name, encoder.representation_dim
network = SupervisedCNN(world, *shape, **training)
if flag("audit_supervised", audit_supervised):
    tried += scoring.score_methods({taught: network}, world, [n_learn], 1)
parts = shifts.by_version(tried, versions)
judges = list(dict.fromkeys(tried.table["method"]))
print(f"{len(judges)} classifiers, {n_learn} labels, {len(judged)} test galaxies")

# %%
if len(recoloured) > 1:
    changed = shifts.score_versions({name: parts[name] for name in recoloured}, judges)
    plate = inspections.without_colour(changed, card).save(run)
    found["colour"] = {f"{r['group']}, {r['method']}": r["change"] for r in changed}
else:
    plate = print("one band: no colour to take away")
plate

# %% [markdown]
# **What to see.** On the right, how far below zero does a method come when galaxies all have the same colour?
# That is how much it *used* colour. With another's colour the colour is worse than useless: it speaks for
# the wrong type. Compare the fall of the pretrained encoder with that of the network that was taught with
# labels, and with random weights and PCA, which had no reason to prefer shape.
#
# A caution: such stamps do not exist in nature. A method may fall because it has never seen a galaxy like
# that, and not because it used the colour.
#
# ### Never shown a colour
#
# The opposite experiment: pretrain an encoder that cannot use colour, on the mean of all bands, beside another
# in colour. Both see the same galaxies and the same schedule, so they are compared with each other. Two
# pretrainings take their time: unless `arm_epochs` asks for them, stored ones are shown.

# %%
study, compared = study_path(studies_dir, "arms"), None
if short := arms.pretrain_arms(run, galaxies, arm_epochs, arm_galaxies, seed, precision):
    asked = pool, judged, n_learn, audit_draws, orientations
    compared = arms.judge_arms(galaxies, short, *asked)
    print(f"pretrained for this build, for {arm_epochs} epochs")
elif study:
    compared, record = read_study(study)
    print(f"Not computed in this build: a study of {record['time'][:10]}.")
    print("\n".join(record["caption"].split("; ")))

# %% [markdown]
# The accuracy of a fully connected probe on each, among all test galaxies and by type and colour:

# %%
if compared:
    by_group = compared["arms"].copy()
    by_group.remove_columns(["n_seeds", "n_runs"])
    for name in ("mean", "low", "high"):
        by_group[name].format = ".3f"
plates.show(by_group) if compared else print("no arms: none were trained and none are stored")

# %% [markdown]
# And the paired difference of the two, in balanced accuracy:

# %%
if compared:
    gap = dict(compared["gap"][0])
    ends = f"{gap['mean']:+.3f} [{gap['low']:+.3f}, {gap['high']:+.3f}]"
    print(f"{gap['a']} minus {gap['b']}: {ends}: {scoreboard.verdict(gap)}")
    found["arms"] = {name: float(gap[name]) for name in ("mean", "low", "high")}

# %% [markdown]
# **What to see.** In the rows *all*, what a network gives up that never saw a colour (the *luminance arm*). If it
# is little, the rest of the picture was enough. In the rows against the rule, red late and blue early, the
# colour-blind arm has an advantage if the other takes the shortcut. Mind how many galaxies such a row has.
#
# **What the stored arms show** (SIMULATED galaxies, one pretraining each). *A probe on SimCLR takes the shortcut,*
# as far as colour is left in $h$; the transforms of {ref}`ch-views` dim it and do not remove it. Without colour the probe loses about two points on all galaxies, and it
# becomes the better judge of just those that break the rule: right about three in four blue early types instead of
# fewer than six in ten, and about eight points more often right about red late ones. Which network is better
# depends on what it is for: to sort a survey, or to find its red spirals.
#
# ## What else is in it?
#
# Seeing, brightness, distance, dust of our own Galaxy, the neighbours: a type should depend on none of them.
# The transforms of {ref}`ch-views` were made for some. Can a linear rule read them off, for galaxies that it
# has not seen? Here $R^2$ is the share of the scatter that it predicts. Four spaces are asked, with at most
# 1000 test galaxies: $h$, the projection $z$ (what the loss saw), PCA, and a network with random weights.

# %%
some = test[draw_labels(labels[test], min(1000, len(test)), seed=seed)]
nuisance = nuisances.nuisances(galaxies, some)
pixels = baselines.pca_features(galaxies, encoder.normalize, seed=seed)
asked = {
    "h": h[some],
    "z": np.load(run / "embedding" / "projection.npy", mmap_mode="r")[some],
    "PCA-64": pixels[some],
    "random weights": control.embed(galaxies.images[some], orientations=orientations),
}

# %%
table = nuisances.nuisance_table(asked, nuisance, seed=seed)
found["nuisances"] = {f"{r['group']}, {r['method']}": r["mean"] for r in table}
inspections.nuisances(table, card).save(run)

# %% [markdown]
# **What to see.** First the floor: what do random weights know? A network that was never trained lets much of
# the stamp through. Where $h$ is *below* it, the pretraining has thrown something away; where it is above,
# it has kept or sharpened it. Then $z$ against $h$: the loss works on $z$, so what the transforms vary should
# be rarer there.
#
# The noise of the sky is measured at the corners of the stamps, and the outskirts of a large galaxy reach
# these: some of what is read off there may be size.
#
# A high $R^2$ need not be a fault. Size and brightness go with type, in nature and in these stamps; and
# whoever wants to estimate a redshift from $h$ will be glad. It is a warning where the property comes from
# the telescope: a survey whose seeing changes over the sky will find its types change with it.
#
# ## One transform at a time
#
# SimCLR was asked to give the same answer to two views of a galaxy. To which of the changes did $h$ become
# blind? Each transform is applied alone, to all validation galaxies. (The mean over orientations is left out
# here, or the row *orientation* would be trivial.)

# %%
few = galaxies.indices("val")[:500]
networks, rows = {"trained": encoder, "random weights": control}, []
for step in views.steps if len(few) > 1 else ():
    for name, own in networks.items():
        change = nuisances.moved(own, views, galaxies.images[few], step, seed)
        rows.append({"step": step, "network": name} | change)
found["invariance"] = rows
plate = inspections.invariance(Table(rows), card).save(run) if rows else None
plate or print("no validation galaxies")

# %% [markdown]
# **What to see.** On the left, is the trained network's dot left of the random one's? Then training made it
# less sensitive. A transform may move $h$ little because the network ignores it, or because it is weak
# anyway: the random weights tell which. On the right, whether the change still *names* what was done: a
# small move can be a systematic one, and a linear probe would find it.
#
# ## Does it know when it does not know?
#
# A probability should mean what it says: of the galaxies that are called late with 0.8, 80 per cent should be
# late. That is {term}`calibration`. The expected calibration error (ECE) is the mean gap. The
# {term}`Brier score` is the mean squared distance of probability and truth {cite}`brier1950verification`, and punishes being
# wrong and being too sure at once.
#
# *{term}`Temperature scaling`* {cite}`guo2017calibration` divides all log-odds by one number $T$, which is fitted on
# labelled galaxies that the classifier did not learn from. Those labels are part of the budget. Here the
# probe is trained five times on four fifths of its labels, each time it judges the last fifth, and $T$ is
# fitted to these answers; the probe that is then used has learned from all. For the supervised CNN a single
# hold-out of a fifth has to do, and it is left out unless `calibrate_supervised` asks for it: it costs a training.

# %%
budgets = set(scores.table["n_labels"][scores.table["method"] == hero].tolist())
middle = min(budgets, key=lambda n: abs(np.log(n / n_learn)))
refit = {hero: (probe(decorrelate(h, learn), "fully connected"), 0)}  # all fifths
if flag("calibrate_supervised", calibrate_supervised):
    refit[taught] = SupervisedCNN(galaxies, *shape, **training), 1  # one fifth


# %%
def temperature_of(r, fit, used):
    key = int(scores.table["seed"][r]), int(scores.table["draw"][r])
    drawn = train[draw_labels(labels[train], middle, key[1], key[0])]
    said, truth = calibration.held_out(fit, drawn, labels[drawn], *key, used=used)
    return calibration.fit_temperature(truth, said)


# %%
most = {hero: number("audit_draws", audit_draws, 1, 10_000, integer=True), taught: 1}
first_seed, runs_of = scores.table["seed"] == scores.table["seed"][0], {}
for name, n in most.items():
    with_them = (scores.table["method"] == name) & (scores.table["n_labels"] == middle)
    if (with_them & first_seed).any():
        runs_of[name] = np.flatnonzero(with_them & first_seed)[:n]

# %%
temperatures, kinds = {}, {}
for name, runs in runs_of.items():
    layout = scores.table["seed"][runs], scores.table["draw"][runs]
    kinds[name] = scores.p_late[runs], *layout
    if name in refit:
        t = temperatures[name] = [temperature_of(r, *refit[name]) for r in runs]
        each = zip(scores.p_late[runs], t, strict=True)
        cooled = np.array([calibration.cooled(p, own) for p, own in each])
        kinds[f"{name} (temperature)"] = cooled, *layout
        print(f"{name}, {middle} labels: T = {np.mean(t):.2f} (above 1: was too sure)")

# %%
graded = {name: calibration.calibration(scores.label, *k) for name, k in kinds.items()}
drawn = {name: calibration.reliability(scores.label, k[0]) for name, k in kinds.items()}
found["calibration"] = graded | {"temperatures": temperatures, "n_labels": middle}
of_each = ", ".join(f"{len(runs)} of {name}" for name, runs in runs_of.items())
trained = f"with {middle} labels (draws: {of_each})"
trust.reliability(drawn, graded, trained, card).save(run)

# %% [markdown]
# **What to see.** Does a curve lie flatter than the diagonal? Then the classifier is surer than it should be,
# and $T$ is above 1. Is it steeper? Then it is too timid, and $T$ is below 1. Compare each ECE with what chance
# alone would give perfect probabilities with so many galaxies: below that, nothing can be said against it. And
# keep in mind that $T$ moves no galaxy across one half: it repairs the probabilities, not the decisions.
#
# ### Say "I do not know"
#
# Honest doubts can be used. Let the classifier keep the galaxies it is surest of and hand the others to a
# person. How accurate is it then? (These are the same few draws as before, so *on all* need not be just what
# {ref}`ch-probes` has as the mean of more.)

# %%
curves = {n: calibration.risk_coverage(scores.label, k[0]) for n, k in kinds.items()}
areas = {n: calibration.area_covered(scores.label, *k) for n, k in kinds.items()}
curves, areas = ({n: d[n] for n in runs_of} for d in (curves, areas))
found["abstention"] = areas
trust.abstention(curves, areas, trained, card).save(run)

# %% [markdown]
# **What to see.** The right end is plain accuracy. Going left, the curve should rise: the doubtful galaxies
# are left out first. (With temperature it would be the same curve: the order of doubts does not change.) A
# curve that stays below 1 at its left end has galaxies about which the classifier is sure and wrong; if
# labels are noisy, some of these errors are not its own.
#
# ## Where is it right?

# %%
wanted = ("mag_r", "z", "r50", "ttype", "axis_ratio", "psf_fwhm")
two = [name for name in (hero, taught) if name in cast]
tables = {}
for name in [name for name in wanted if name in galaxies.catalog.colnames]:
    own = np.asarray(galaxies.catalog[name], float)[test]
    tables[name] = audit.score_bins(scores, two, own)
tables = {name: table for name, table in tables.items() if len(table)}
absent = [name for name in wanted if name not in tables]
print(f"left out, unknown or of too few galaxies: {', '.join(absent) or 'nothing'}")
inspections.by_property(tables, card).save(run) if tables else None

# %% [markdown]
# **What to see.** Is a method worse on faint, small or distant galaxies, where the stamp tells less? Does the
# supervised network fail where the other does? Where both fall together, the stamps or the labels are to
# blame; where one falls alone, rather the method. Mind the mix of types: a bin with few early types may be easy
# for who likes to say late.
#
# ## Noisy labels, true types
#
# People and catalogues make mistakes, so a test label may be wrong, and who agrees with all of them is wrong
# as often. Simulated galaxies have both: the label with its scatter, and the true type. The classifiers were
# trained on labels. Do they repeat the mistakes, or see through them?

# %%
if "true_label" in galaxies.catalog.colnames:
    true_types = np.asarray(galaxies.catalog["true_label"])[test]
    ceiling = float(np.mean(true_types == labels[test]))
    table = audit.against_truth(scores, true_types)
    found["truth"] = {r["method"]: [r["labels"], r["truth"], r["gain"]] for r in table}
    found["ceiling"] = ceiling
    plate = trust.truth(table, ceiling, card).save(run)
else:
    plate = print("this catalogue does not know the true types behind the labels")
plate

# %% [markdown]
# **What to see.** The dashed line is the share of labels that are true. Measured against the *labels*, nobody
# can be expected to pass it: not even who knows the truth. Measured against the *truth*, there is no such
# ceiling. A dot *against the truth* that lies right of the one against the labels belongs to a method that
# averaged the mistakes away, since they scatter in both directions and are not visible in the stamps. On
# real galaxies only the grey squares can be measured, and a score near the ceiling says "as good as the labels".
#
# ## Another night
#
# The versions with worse seeing and noise, judged by the classifiers that never saw the like:

# %%
axes, tables = {"seeing / its median": "seeing x", "noise / its own": "noise x"}, {}
for axis, prefix in axes.items():
    along = ["as observed"] + [name for name in versions if name.startswith(prefix)]
    table = shifts.score_versions({name: parts[name] for name in along}, judges)
    level = {name: float(name.removeprefix(prefix)) for name in along[1:]}
    table["level"] = [level.get(name, 1.0) for name in table["group"]]
    tables[axis] = table
    told = {f"{r['group']}, {r['method']}": r["mean"] for r in table}
    found["shifts"] = found.get("shifts", {}) | told

# %% [markdown]
# And what it costs to adapt: the encoder stays, and its probe is trained again on as many labelled galaxies
# *as seen in the worst version*. No pretraining is needed for that, only labels that one has already, and
# stamps made worse on purpose.

# %%
pool_seeing, _ = nights.seeing_px(galaxies, pool)
blur = nights.blur_to(pool_seeing, 2.5 * typical)
originals, adapted = np.asarray(galaxies.images[pool], np.float32), {}
for name, how in {"seeing x2.5": (blur, 1), "noise x6": (0, 6)}.items():
    bad = nights.degrade(originals, card, *how, seed=seed + 1)
    at = len(pool) + list(versions).index(name) * len(judged)
    seen = spaces[learner][at : at + len(judged)]
    x = np.concatenate([encoder.embed(bad, orientations=orientations), seen])
    adapted[name] = probe(decorrelate(x, first), "fully connected")

# %%
pair = shifts.versions(galaxies, pool, judged, {"as observed": stamps})
refitted = scoring.score_methods(adapted, pair, [n_learn], audit_draws)
again = []
for name, axis in zip(adapted, axes, strict=True):
    value = audit.score_of(refitted, name, score="balanced_accuracy")
    row = {"axis": axis, "level": float(name.split("x")[1]), "method": hero}
    again.append(row | value)
found["refitted"] = again
trust.degradation(tables, card, Table(again)).save(run)

# %% [markdown]
# **What to see.** Who falls first, and on which of the two? The pretraining varied seeing and noise within
# the limits of {ref}`ch-views`; beyond them nothing was promised. The white star is the same encoder
# with a probe that has seen such stamps: what it wins back was still in $h$, only elsewhere. What it does not
# win back is gone from $h$, or out of reach of such a probe with so few labels.
#
# ## Another survey
#
# The hardest test: other galaxies, another telescope or another way to make pictures. The encoder of each of
# two runs is shown the stamps of the other, matched in the level of sky and the bright end, with a probe
# trained on the labels of either set.

# %%
study, exchanged = study_path(studies_dir, "shift_pictures"), None
if other_run:
    other = run_path(other_run)
    both = [card, GalaxySet.load(other / "dataset").card]
    source = " Other set: ".join(map(plates.source_tag, both))
    exchanged = surveys.exchange({"this set": run, "the other": other}, n_learn)
elif study:
    exchanged, record = read_study(study)
    source = record["caption"]

# %%
plate = trust.exchange(exchanged["exchange"], source).save(run) if exchanged else None
plate or print("no other run is given (other_run) and no study is stored: left out")

# %%
if exchanged:
    cost = exchanged["cost"]
    for name in ("mean", "low", "high"):
        cost[name].format = "+.3f"
    print("balanced accuracy, with labels of the other set minus with the set's own:")
plates.show(cost) if exchanged else print("nothing was exchanged")

# %%
apart = exchanged.get("encoders") if exchanged else None
if apart is not None:
    for name in ("mean", "low", "high"):
        apart[name].format = "+.3f"
    print("with labels of the tested set, encoder a minus encoder b:")
plates.show(apart) if apart is not None else print("no encoders to compare")

# %% [markdown]
# **How to read it.** Where there are such results: compare, for one tested set, first the two probes on one
# encoder. The difference is what a few labels of the new survey win. Then compare encoders, each with labels
# of the tested set: does the encoder from elsewhere beat random weights? Then something that it learned of
# galaxies holds in both.
#
# **What the stored exchange shows** (one pretraining each; it is drawn above unless another run is given). *A
# probe does not travel*: with labels of the other set instead of its own, each of the four encoders loses more
# than fifteen points on each set. *An encoder does, one way.* The one from real pictures, with labels of the
# simulation, beats random weights there, and is not distinguished from the simulation's own. The one from the
# simulation loses to the pictures' own encoder on real pictures, and is not distinguished there from random weights.
# So what was learned from the sky is of use in the simulation, and of what was learned from the simulation nothing
# was seen to help on the sky.
#
# ## Limits
#
# - Groups and bins hold few galaxies; read the intervals before the dots. What another pretraining would
#   change is in an interval only where its caption counts more than one pretraining seed.
# - A linear rule that finds nothing does not prove that nothing is there.
# - Recoloured, blurred and noisy stamps are made with a computer. Blur comes after the pixels, the noise that
#   is added does not know the galaxy's own photons, and neighbours are changed along with the galaxy.
# - Of the arms in colour and without there is one pretraining each: its luck is not in the interval.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-audit-poison
# ```
# How much label noise does the probe bear? Turn the labels of a share of the *training* galaxies at random,
# train on them, and measure against the test labels as they are.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-audit-poison
# :class: dropdown
# ```

# %%
level, random = decorrelate(h, learn), np.random.default_rng(seed)
some = train[draw_labels(labels[train], n_learn, seed=seed)]
poisoned = {}
for share in (0, 0.1, 0.2, 0.3, 0.4, 0.5):
    turned = np.where(random.random(n_learn) < share, 1 - labels[some], labels[some])
    p_late = probe(level, "fully connected")(some, turned, test, seed, 0)
    both = [(p_late > 0.5)[labels[test] == k] == k for k in (0, 1)]
    poisoned[share] = float(np.mean([right.mean() for right in both]))
for share, value in poisoned.items():
    print(f"{share:.0%} of the labels turned: balanced accuracy {value:.3f}")

# %% [markdown]
# With half of the labels turned nothing can be learned, and the score is near one half, by luck a little above
# or below. In between, expect less damage than the share suggests, and the less, the more labels there are: mistakes
# that do not depend on the stamp pull in all directions, and a classifier of few parameters cannot follow them.
# It would be otherwise if people erred in the same way on the same kind of galaxy.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-audit-knn
# ```
# A linear rule may miss what is laid out along a curve. Ask $h$ and random weights for the same properties with
# neighbours instead: `nuisances.nuisance_r2(..., kind="knn")`. Does the order of the spaces change?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-audit-knn
# :class: dropdown
# ```

# %%
both = Table({"property": [inspections.TITLES.get(p, p) for p in nuisance]})
for space in ("h", "random weights"):
    for kind, name in {"ridge": "linear", "knn": "neighbours"}.items():
        r2 = nuisances.nuisance_table({space: asked[space]}, nuisance, kind, seed)["mean"]
        both[f"{space}, {name}"] = r2
        both[f"{space}, {name}"].format = ".2f"
plates.show(both)

# %% [markdown]
# Neighbours mix all directions of the space, large ones first; a linear rule can pick the one small direction
# in which a property lies. So linear usually finds more in 64 numbers. Where neighbours find as much, the
# property is one of the main directions of the space: galaxies are *sorted* by it.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-audit-brier
# ```
# A classifier says 0.5 for every galaxy. What are its Brier score, its ECE and its accuracy if half of the
# galaxies are late? Which of the three tells you that it is useless?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-audit-brier
# :class: dropdown
# ```
# Brier 0.25, ECE 0, accuracy 0.5. Perfect calibration is easy for who never commits: always read it together
# with a score that rewards being right. The Brier score does both, and 0.25 is its "knows nothing".
# ```{solution-end}
# ```
#
# ## Take-away
#
# - Ask what a score is made of: group, change, search, check, move.
# - Colour is the shortcut of this field. Whoever reports a score should show it on red late and blue early types.
# - A representation holds more than the type. What it holds of the telescope is a liability.
# - Temperature is fitted within the budget, and mends probabilities, not decisions.
# - Against noisy labels there is a ceiling, and it is not 1.
#
# Next: {ref}`ch-search`.

# %% tags=["hide-cell"]
found |= {"n_test": len(test), "n_versions": len(judged), "poisoned": poisoned}
_ = write_metrics(run, "07_audit", found, seed)
