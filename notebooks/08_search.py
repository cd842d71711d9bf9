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
# (ch-search)=
# # Search and surprise
#
# *Which galaxies look like this one? Which look like none? And how would one know that the answers are any
# good?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to search by likeness; to measure what neighbours have in common, and whether a galaxy
# is found again when it is observed again; to rank galaxies by strangeness, and to judge a ranking by
# oddities that were put there.
#
# **You need** {ref}`ch-pretrain`; {ref}`ch-umap` helps.
#
# **In:** `dataset/`, `pretrain/`, `embedding/`. **Out:** figures and numbers only.
#
# ```{include} ../book/_generated/time_08_search.md
# ```
# :::
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # which galaxies are drawn, their copies and oddities
query_id: str = ""  # id of a galaxy to search with; empty: a few are chosen
n_search: int = 1000  # test galaxies to search among, and training galaxies to tell what is usual
n_near: int = 10  # neighbours of a galaxy, [1, 100]
n_again: int = 150  # test galaxies that are observed again
odd_share: float = 0.05  # oddities of each kind, as a share of the galaxies; [0, 0.5]

# %%
import time
from functools import partial

import numpy as np
from astropy.table import Table

from galclr_utils import (
    GalaxySet,
    atlas,
    baselines,
    findings,
    load_encoder,
    neighbours,
    nights,
    oddities,
    plates,
    search,
    strangeness,
)
from galclr_utils.calibration import wilson
from galclr_utils.checks import number
from galclr_utils.device import best_device
from galclr_utils.duplicates import near_identical
from galclr_utils.intervals import central_95
from galclr_utils.probes import standardise
from galclr_utils.provenance import run_path, write_metrics
from galclr_utils.trained import load_representation, method_name, orientations_of

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
h, z = load_representation(run), np.load(run / "embedding" / "projection.npy")

# %%
n_search = number("n_search", n_search, 20, 10_000_000, integer=True)
n_near = number("n_near", n_near, 1, 100, integer=True)
rows = atlas.choose(galaxies.indices("test"), n_search, seed)
usual = atlas.choose(galaxies.indices("train"), n_search, seed)
if len(rows) < 20:
    raise ValueError(f"test split: got {len(rows)} galaxies, expected at least 20")
stamps, labels = galaxies.images[rows], galaxies.labels[rows]
two_types = len(np.unique(labels[labels >= 0])) == 2
print(f"{len(rows)} test galaxies to search, {len(usual)} training galaxies as the usual")

# %% [markdown]
# ## Three spaces to search in
#
# A search needs numbers for every galaxy, and a distance; with numbers learned without labels it has found
# strong gravitational lenses {cite}`stein2022mining`. Here the numbers are $h$ of the pretrained encoder; or,
# for comparison, 64 principal components of the pixels, or $h$ of a network of the same shape that was
# never trained. The distance is the cosine distance, once the mean of the training galaxies has been taken
# off. (Chosen once, on validation galaxies of a simulated survey, for all spaces alike.)

# %%
name = method_name(run)
encoder = load_encoder(run / "pretrain" / "encoder.pt")
turns = orientations_of(run)
untrained = load_encoder(run / "pretrain" / "untrained.pt")
for network in (encoder, untrained):
    network.to(best_device())
pixels = baselines.Pixels(galaxies, encoder.normalize, seed=seed)
describe = {name: partial(encoder.embed, orientations=turns), "PCA-64": pixels.embed}
describe["random weights"] = partial(untrained.embed, orientations=turns)

# %%
kept = {name: h, "random weights": load_representation(run, name="untrained")}
spaces, reference = (
    {s: kept[s][some] if s in kept else pixels.embed(galaxies.images[some]) for s in describe}
    for some in (rows, usual)
)
centre = {space: x.mean(axis=0) for space, x in reference.items()}
near = {space: x - centre[space] for space, x in spaces.items()}

# %% [markdown]
# ## Which galaxies look like this one?
#
# With `query_id` you choose the galaxy. Without it, and where the catalogue can tell, a late type seen from
# the side, one seen from above and an early type are taken; else galaxies that lie far from each other.

# %%
if query_id:
    chosen = {str(query_id): search.row_of(galaxies, query_id)}
else:
    places = search.examples(galaxies, rows, near[name])
    chosen = {title: int(rows[place]) for title, place in places.items()}
asked = list(chosen.values())

# %%
own = np.array([np.flatnonzero(rows == row).max(initial=-1) for row in asked])
alike = {}
for space, embed in describe.items():
    query = embed(galaxies.images[asked]) - centre[space]
    alike[space] = rows[search.search(query, near[space], 8, own)[0]]
findings.neighbours_sheet(galaxies, chosen, alike).save(run)

# %% [markdown]
# **What to see.** What do the galaxies of a row have in common with the framed one: the light in all, the
# shape, the *direction* of the shape, the colour, the neighbour in a corner? Pixels know how a galaxy lies
# on the sky, and cannot look past it. Both networks take the mean over eight orientations, which makes quarter
# turns and mirror images alike, and says nothing of the angles between. What the first row of a galaxy has in common
# beyond that was learned: the last row is the same network untrained.
#
# ### A picture that is not in the set
#
# Embed it, then look. The picture must be like those of the set: as large, in the same bands and units. Here
# it is one of the galaxies above, turned upside down and with half as much sky noise again.

# %%
noise = np.reshape(galaxies.card["sky_rms"], (-1, 1, 1)) / 2
stamp = np.asarray(galaxies.images[asked[0]], "f4")[:, ::-1]
stamp = stamp + noise * np.random.default_rng(seed).normal(size=stamp.shape)
first, far = search.search_image(encoder, stamp, near[name], 3, turns, centre[name])
for row, distance in zip(rows[first], far, strict=True):
    same = " (the same galaxy)" if row == asked[0] else ""
    print(f"{galaxies.catalog['id'][row]}: cosine distance {distance:.4f}{same}")

# %% [markdown]
# ## What do neighbours have in common?
#
# A contact sheet persuades and proves nothing. So count, over all galaxies. First the type: of the nearest 1,
# 2, 3, ... neighbours of a galaxy, how many carry its label? (This is the *precision at k* of a search for its
# type.) Beside the three spaces there are the projection $z$, which is what the loss worked on, and the
# catalogue's own numbers: colours, magnitude, size and concentration.

# %%
judged = near | {"projection z": z[rows] - z[usual].mean(axis=0)}
metric = dict.fromkeys(judged, "cosine")
catalogue, reason = baselines.catalogue_features(galaxies)
if catalogue is None:
    print(f"the catalogue's own numbers: left out, {reason}")
else:
    judged["catalogue"] = standardise(catalogue, galaxies.indices("train"))[rows]
    metric["catalogue"] = "euclidean"

# %%
share = {}
if two_types:
    for space, x in judged.items():
        share[space] = neighbours.agreement(x, labels, max(20, n_near), metric[space])
plate = None
if two_types:
    n_labelled = int((labels >= 0).sum())
    plate = findings.agreement_curves(share, n_labelled, galaxies.card).save(run)
plate or print("left out: these test galaxies have no labels of two kinds")


# %%
def told(curve, sign=""):
    value, low, high = (f"{x:{sign}.3f}" for x in central_95(curve).values())
    return f"{value} [{low}, {high}]"


at = min(n_near, *(len(curve) for curve in share.values())) if share else 0
lines = []
for space, curve in share.items():
    gap = "" if space == name else told(share[name][at - 1] - curve[at - 1], "+")
    lines.append((space, told(curve[0]), told(curve[at - 1]), gap))
names = ("space", "nearest", f"nearest {at}", f"{name} minus this, nearest {at}")
plates.show(Table(rows=lines, names=names)) if lines else print("left out, as above")

# %% [markdown]
# **How to read it.** One half is chance: both types count equally, however common they are. The last column
# is the paired difference over the same galaxies; where its interval does not hold zero, the two spaces
# differ in this. The labels are imperfect too, so that nothing reaches 1.
#
# Is the representation more than its label? Ask the same of all that the catalogue knows: how much do
# neighbours differ in it, compared with strangers?

# %%
known = atlas.known_properties(galaxies, rows)
apart = {}
for space, x in judged.items():
    gaps = partial(neighbours.difference, x, k=n_near, metric=metric[space])
    apart[space] = {title: gaps(values) for title, values in known.items()}
findings.differences_plate(apart, n_near, galaxies.card).save(run)

# %%
if "T-type" in known:
    t = known["T-type"]
    apart_t = neighbours.from_strangers(t[np.isfinite(t)]).mean()
    print(f"two strangers differ by {apart_t:.2f} T-types, neighbours")
    for space, found in apart.items():
        print(f"  in {space}: by {apart_t * found['T-type'][0]:.2f}")
    r2 = {space: atlas.neighbour_r2(x, t, n_near) for space, x in near.items()}
    print("R2 of the T-type: " + ", ".join(f"{v:.2f} in {s}" for s, v in r2.items()))
else:
    print("this catalogue has no T-types")

# %% [markdown]
# **What to see.** The further left, the more a space orders the galaxies by this property. The catalogue
# was *given* colour, magnitude, size and concentration: there it is a yardstick, and no rival. In which
# properties do pixels do better than the representation, and is that a loss? How flat a galaxy looks, for
# instance, is a matter of how it is turned towards us.
#
# ## Is a galaxy found again?
#
# Here is a test whose answer is known. Observe some galaxies once more: turned, in poorer seeing, with as much
# noise again as the sky has, off by one pixel. Then search with this copy among all test galaxies. At which
# place does the galaxy itself come?

# %%
some = np.arange(min(number("n_again", n_again, 1, 10**6, integer=True), len(rows)))
again = nights.copies(stamps[some], galaxies.card["sky_rms"], seed)
seen = {s: {k: embed(x) for k, x in again.items()} for s, embed in describe.items()}


def told_share(hits):
    low, high = wilson(hits.mean(), len(hits))
    return f"{hits.mean():.3f} [{low:.3f}, {high:.3f}]"


# %%
place, lines = {}, []
for kind in list(again)[:4]:
    for space in describe:
        rank = search.rank_of_own(seen[space][kind] - centre[space], near[space], some)
        place[kind, space] = rank
        ends = (told_share(rank <= k) for k in (1, 10))
        lines.append((kind, space, *ends, int(np.median(rank))))
names = ("copy", "space", "first", "among the first ten", "median place")
plates.show(Table(rows=lines, names=names))

# %%
print(f"by chance: first {1 / len(rows):.4f}, among ten {10 / len(rows):.4f}")
gaps = {}
for kind in list(again)[:4]:
    one, other = (1.0 * (place[kind, space] == 1) for space in (name, "PCA-64"))
    gaps[kind] = neighbours.mean_curve(one - other)
    print(f"found first, {name} minus PCA-64, {kind}: {told(gaps[kind], '+')}")

# %% [markdown]
# **How to read it.** (In brackets are Wilson's intervals of the shares, which stay open where all are found.)
# The encoder was trained to take two views of a galaxy for one, so this is its own task, on galaxies that it
# has not seen; only the noise may be stronger here than the views of {ref}`ch-views` were (their setting `noise`
# is the most that they add, in units of the sky's). Noise and a little blur average out over many pixels, so they should
# hardly move principal components; a turn should. The network with random weights sees all eight orientations,
# as the trained one does, so what separates the two is the training. Does the untrained one look past a turn at all? Its
# eight orientations are quarter turns and mirror images, and the copy is turned by any angle.
#
# ## The same picture twice
#
# Catalogues hold the same galaxy twice: observed twice, or cut out twice. {ref}`ch-data` removes stamps whose
# *pixels* are nearly the same. Can a representation do more? Plant copies among the test galaxies, and look
# for pairs that are nearer to each other than any two validation galaxies are. (Not training galaxies: those
# the network was trained to push apart.)


# %%
def tell_pairs(pairs):
    true = pairs[pairs[:, 1] - pairs[:, 0] == len(rows), 0]
    return told_share(np.isin(some, true)), len(pairs) - len(true)


val = atlas.choose(galaxies.indices("val"), n_search, seed)
limit = {}
for space in (name, "PCA-64") if len(val) > 1 else ():
    x = h[val] if space == name else pixels.embed(galaxies.images[val])
    limit[space] = search.closest_pairs(x - centre[space], 1)[1][0]

# %%
flux, copies_found = galaxies.card["units"] == "nanomaggy", {}
for kind in ("stored again", "shifted", "noisier"):
    pairs = near_identical(np.concatenate([stamps, again[kind]]), flux)
    copies_found[kind, "pixels, as in 01_data"] = tell_pairs(pairs)
    for space, nearer in limit.items():
        points = np.concatenate([near[space], seen[space][kind] - centre[space]])
        copies_found[kind, space] = tell_pairs(search.pairs_within(points, nearer))
lines = [(*key, *cells) for key, cells in copies_found.items()]
print(f"{len(some)} copies of each kind")
plates.show(Table(rows=lines, names=("copy", "pairs by", "recall", "false pairs")))

# %% [markdown]
# **How to read it.** *Recall* is the share of the planted copies that is found; *false pairs* are pairs of
# different galaxies (or, in a set of your own, copies that nobody planted: look at them). A limit from other
# galaxies is not exact: expect a few false pairs, and with few validation galaxies more. Pixels are held to a strict limit, so that no galaxy is lost by
# mistake: they are meant to find the same *file*, and not the same galaxy on another night.
#
# ## Which galaxies look like none?
#
# A galaxy is strange if it lies far from what is usual, that is, from training galaxies. There are many ways to say
# *far*: the distance to the nearest of them; the distance from their mean in units of their scatter
# ({term}`Mahalanobis distance`, with a shrunk covariance {cite}`ledoit2004well`); how few random cuts part it
# from them (an {term}`isolation forest` {cite}`liu2008isolation`). In pixels there is also the
# light that 64 components miss, and, plainest of all, how rough the pixels are.
#
# No one knows which real galaxies *are* strange. So some are planted.

# %%
share_odd = number("odd_share", odd_share, 0, 0.5)
n_odd = min(len(rows) // 2, max(len(oddities.KINDS), round(share_odd * len(rows))))
changed = np.sort(np.random.default_rng(seed).choice(len(rows), n_odd, replace=False))
clean = np.setdiff1d(np.arange(len(rows)), changed)
planted = oddities.plant(galaxies, rows[changed], seed)
findings.planted_sheet(galaxies, rows[changed], planted).save(run)

# %% [markdown]
# **What to see.** Some oddities are of the sky (a merger, a ring), some of the telescope (a trail, a star, a
# cosmic ray, a dead column), some of the reduction (a lost band, a wrong gain, bands exchanged, a galaxy off
# centre). All are drawn with known strength. Which would *you* notice among a thousand?

# %%
odd = {s: {k: embed(x) for k, x in planted.items()} for s, embed in describe.items()}
rankings = {}
for space in describe:
    for way, score in strangeness.RANKINGS.items():
        score = partial(score, reference[space])
        rankings[f"{space}: {way}"] = strangeness.ranking(score, spaces[space], odd[space])
rankings["PCA-64: light missed"] = strangeness.ranking(pixels.error, stamps, planted)
rough = partial(strangeness.roughness, galaxies.images[usual])
rankings["pixels: roughness"] = strangeness.ranking(rough, stamps, planted)

# %% [markdown]
# First all kinds together, each galaxy with one oddity. If you looked at the strangest galaxies, as many as
# there are oddities, how many would be oddities (precision; here it equals the recall)?
# {term}`Average precision <average precision>` is the mean of the precision over all lengths of the list at which an oddity is
# met. The {term}`AUC` is the probability that an oddity is ranked as stranger than an unchanged galaxy.

# %%
mixed, lines = {}, []
for ranking, (galaxy, by_kind) in rankings.items():
    mixed[ranking] = strangeness.found(galaxy[clean], strangeness.in_turn(by_kind))
hero = f"{name}: Mahalanobis"

# %%
for ranking, curves in mixed.items():
    gap = mixed[hero]["average_precision"] - curves["average_precision"]
    scores = ("average_precision", "precision_at_k", "auc")
    cells = [told(curves[score]) for score in scores]
    lines.append((ranking, *cells, "" if ranking == hero else told(gap, "+")))
names = ("ranking", "average precision", f"precision, first {n_odd}", "AUC")
names += (f"av. precision, {hero} minus this",)
plates.show(Table(rows=lines, names=names))

# %%
rate = n_odd / (len(clean) + n_odd)
print(f"by chance: average precision and precision {rate:.3f}, AUC 0.5")
best = max(mixed, key=lambda ranking: mixed[ranking]["average_precision"][0])
print(f"highest average precision: {best}, {told(mixed[best]['average_precision'])}")

# %% [markdown]
# And kind by kind:

# %%
auc = {}
for ranking, (galaxy, by_kind) in rankings.items():
    judge = partial(strangeness.found, galaxy[clean], n_resamples=0)
    auc[ranking] = {kind: float(judge(x)["auc"][0]) for kind, x in by_kind.items()}
    auc[ranking]["all kinds"] = float(mixed[ranking]["auc"][0])
findings.recovery(auc, len(clean), n_odd, galaxies.card).save(run)

# %%
shown, lines = [hero, "random weights: Mahalanobis", "PCA-64: light missed"], []
for kind in planted:
    found = (strangeness.found(rankings[r][0][clean], rankings[r][1][kind]) for r in shown)
    lines.append((kind, *(told(curves["average_precision"]) for curves in found)))
print(f"average precision; {rate:.3f} by chance")
plates.show(Table(rows=lines, names=("kind", *shown)))

# %% [markdown]
# **How to read it.** Look for the bold numbers in rows other than the pretrained encoder's. What a network
# was trained to *ignore* it may no longer find strange: the transforms of {ref}`ch-views` taught it that noise, a
# missing piece, a shift and a *small* change of the bands' brightness do not matter. So compare an oddity that the
# views imitate (a dead column, off centre) with one that lies far outside them (a missing band, swapped bands). A
# network with random weights has learned to ignore nothing. And the light that 64 components miss should betray what
# is sharper than galaxies are: which of the sharp ones does it find, and which are too small to weigh in a mean over
# all pixels?
#
# So a representation that is good at types need not be good at surprises: one cannot both look past an
# accident and find it.
#
# ### The strangest galaxies of this set
#
# Now without anything planted.

# %%
shown += ["pixels: roughness"]
top = {ranking: np.argsort(-rankings[ranking][0], kind="stable") for ranking in shown}
pictured = {ranking: rows[order] for ranking, order in top.items()}
findings.strangest(galaxies, pictured).save(run)

# %%
n_top = min(20, len(rows) // 4)
table = Table({f"median percentile of the {n_top} strangest": list(known)})
for ranking, order in top.items():
    table[ranking] = [strangeness.percentile(v, order[:n_top]) for v in known.values()]
    table[ranking].format = ".0f"
plates.show(table)

# %%
for ranking in shown[1:]:
    common = len(set(top[hero][:n_top]) & set(top[ranking][:n_top]))
    print(f"{hero} and {ranking}: {common} of {n_top} strangest in common")

# %% [markdown]
# **What to see.** What are they: bright, large, flat, crowded, or really odd? A median percentile near 50 says
# that the strangest are like the others in this; near 0 or 100 that they are its extremes. A ranking that
# lists the brightest galaxies has rediscovered the magnitude, for which nobody needs a network.
#
# ## How far does this go?
#
# The search is exact: it compares with all. What does that cost?

# %%
random, lines = np.random.default_rng(seed), []
for n in (1000, 10_000, 100_000):
    points = random.normal(size=(n, h.shape[1])).astype("f4")
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        search.search(points[:100], points, n_near)
        seconds.append(time.perf_counter() - began)
    line = f"{n:,}", f"{10 * np.median(seconds):.2f}", f"{n * h.shape[1] * 4 / 1e6:,.1f}"
    lines.append(line)
names = ("galaxies", "milliseconds a query", "megabytes")
plates.show(Table(rows=lines, names=names))

# %% [markdown]
# A search does one product for each galaxy, so memory and time grow with their number; faster at first, where
# the numbers no longer fit into the processor's caches. (Each is the median of five.) That is fine for every
# search here, and for a survey as long as the numbers fit into memory and the queries are few. To compare *all*
# with all costs its square; then an approximate index is worth its errors.
#
# ## Limits
#
# The galaxies found are the nearest of those in hand: a search among few finds no twin. The oddities are
# drawings. A ranking that finds them is not sure to find what nature has; and their strengths decide
# what is easy to find and what is not (`strength` in `oddities.plant`). The intervals are over galaxies; there is
# one pretraining, so what another seed would change is missing from them. Which distance is used, and that
# *nearest* means the first neighbour, was chosen on validation galaxies of a simulated survey.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-own-picture
# ```
# Search with a picture that you drew: a smooth, flat, featureless galaxy in noise. What do you expect the
# nearest galaxies to be? (For a picture from a file, make an array of its bands, cut and binned as the set.)
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-own-picture
# :class: dropdown
# ```

# %%
side = stamps.shape[-1]
y, x = np.mgrid[:side, :side] - (side - 1) / 2
light = np.exp(-np.hypot(x / (0.15 * side), y / (0.04 * side)))
peak = np.median(np.asarray(stamps, "f4").max(axis=(2, 3)), axis=0)[:, None, None]
random = np.random.default_rng(seed)
drawn = peak * light + 2 * noise * random.normal(size=stamps.shape[1:])
to = near[name], n_near, turns, centre[name]
first, far = search.search_image(encoder, drawn, *to)
for title, v in known.items():
    print(f"{title}: {np.nanmedian(v[first]):.2f}; of all {np.nanmedian(v):.2f}")

# %% [markdown]
# The drawing has the peak brightness of the typical galaxy of the set, band by band, and is flatter. If the search
# works, its neighbours are flatter too, where the catalogue knows the axis ratio. What else do they share that was
# never drawn?
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-between
# ```
# Take the mean of the representations of two galaxies that differ. Are the galaxies nearest to it *between*
# the two? Try the first property that the catalogue knows.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-between
# :class: dropdown
# ```

# %%
title, values = next(iter(known.items()))
fine = np.flatnonzero(np.isfinite(values))
order = fine[np.argsort(values[fine])]
low, high = order[len(order) // 10], order[-1 - len(order) // 10]
for part in (0.0, 0.25, 0.5, 0.75, 1.0):
    mean = (1 - part) * near[name][low] + part * near[name][high]
    found = search.search(mean[None], near[name], n_near)[0][0]
    print(f"{part:.0%} of the second galaxy: {title} {np.nanmean(values[found]):.2f}")

# %% [markdown]
# If the property runs smoothly through the space along this line, the mean climbs step by step. It need not:
# nobody asked for a space in which one may interpolate, and half-way there may be no galaxy at all.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-choose-k
# ```
# How many neighbours should vote on the type of a galaxy? Choose the number on validation galaxies, and say
# why not on test.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-choose-k
# :class: dropdown
# ```

# %%
y = galaxies.labels[val]
if len(np.unique(y[y >= 0])) == 2:
    x, y = h[val][y >= 0] - centre[name], y[y >= 0]
    curve = neighbours.agreement(x, y, 31)
    voters = y[search.search(x, x, 31, np.arange(len(y)))[0]]  # their labels, the nearest first
    for k in (1, 3, 11, 31):
        vote = [np.mean((voters[y == kind, :k].mean(axis=1) > 0.5) == kind) for kind in (0, 1)]
        print(f"{k:2} nearest: own label {told(curve[:k][-1])}; vote {np.mean(vote):.3f}, balanced")
else:
    print("the validation galaxies have no labels of two kinds")

# %% [markdown]
# The *share* tends to fall with distance, since farther neighbours are less alike. A *vote* is another matter: a
# few neighbours average out the errors of single labels, so that a vote may get better at first, although its
# members get worse. Take the number with the best vote (odd ones, so that no vote is a tie).
# Chosen on test, the number would fit the luck of the test galaxies, and the score would be too good. (Where the
# shares here differ from those of the test galaxies above: validation galaxies are other ones, and fewer, so that a
# neighbour is farther away.)
# ```{solution-end}
# ```
#
# ## Take-away
#
# - A search by likeness is a matrix product. What it finds alike depends on the space: count what neighbours
#   share.
# - Galaxies observed again are a test with known answers, for any set.
# - A ranking by strangeness is judged by what was planted, beside plain statistics. What a network has been taught
#   to ignore it may not find.
#
# Next: {ref}`ch-sky`.

# %% tags=["hide-cell"]
record = {"n": len(rows), "n_near": n_near, "n_odd": n_odd, "chance_odd": rate}
record["agreement"] = {s: central_95(curve[at - 1]) for s, curve in share.items()}
record["difference"] = {
    space: {title: central_95(curve) for title, curve in found.items()}
    for space, found in apart.items()
}
record["found_first"] = {", ".join(key): np.mean(r == 1) for key, r in place.items()}
record["copies"] = {", ".join(key): cells for key, cells in copies_found.items()}
record["average_precision"] = {
    r: central_95(curves["average_precision"]) for r, curves in mixed.items()
}
record["auc"] = auc
_ = write_metrics(run, "08_search", record, seed)
