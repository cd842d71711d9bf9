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
# (ch-umap)=
# # A map of galaxies
#
# *Sixty-four numbers a galaxy: do galaxies of one type lie together, although nobody said which is
# which?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to read a UMAP without over-reading it, and to measure in 64 dimensions what the
# eye sees in two.
#
# **You need** {ref}`ch-pretrain`.
#
# **In:** `dataset/`, `embedding/representation.npy`. **Out:** `embedding/umap.csv`.
#
# ```{include} ../book/_generated/time_04_umap.md
# ```
# :::
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # which test galaxies are drawn, and UMAP's layout
n_map: int = 1980  # test galaxies on the map, as in the poster; all if there are fewer
n_neighbors: int = 15  # size of the neighbourhoods that UMAP keeps, [2, 10000]
min_dist: float = 0.1  # how close points may lie on the map, [0, 1]

# %%
import numpy as np
from astropy.table import Table
from scipy.spatial import procrustes

from galclr_utils import GalaxySet, atlas, baselines, load_encoder, maps, plates
from galclr_utils.checks import number
from galclr_utils.provenance import run_path, write_metrics
from galclr_utils.trained import load_representation, method_name

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
h, learned = load_representation(run), method_name(run)
n_map = number("n_map", n_map, 4, 1_000_000, integer=True)
rows = atlas.choose(galaxies.indices("test"), n_map, seed)
labels = galaxies.labels[rows]
two_types = len(np.unique(labels[labels >= 0])) == 2
print(f"{len(rows)} test galaxies, {h.shape[1]} numbers each, by {learned}")

# %% [markdown]
# ## From 64 dimensions to two
#
# UMAP {cite}`mcinnes2018umap` joins each galaxy to its nearest neighbours in $h$ and then looks for
# positions in the plane that keep these bonds. It is a picture of neighbourhoods. The axes have no
# meaning, the size of a cloud and the gap between two clouds have next to none, and another seed gives
# another layout.

# %%
layout = {"n_neighbors": n_neighbors, "min_dist": min_dist, "seed": seed}
positions = atlas.umap_map(h[rows], **layout)
atlas.save_map(run, galaxies.catalog["id"][rows], positions, labels)
said = f"cosine distance, {n_neighbors} neighbours, min_dist {min_dist}, seed {seed}"
maps.umap(positions, labels, said, galaxies.card).save(run)

# %% [markdown]
# **What to see.** Neither the training nor UMAP knew the labels; where there are any, they coloured the
# map afterwards. Where the two types lie apart, the representation has set them apart by itself.
#
# Where they mix, there may be two reasons. The representation may not know what tells them apart. Or the
# label is at fault: near the border between early and late, people disagree ({ref}`ch-data`). So count.
# *Mixed* are galaxies of whose ten nearest neighbours in $h$ at most half carry their own label.

# %%
share = atlas.own_share(h[rows], labels) if two_types else np.full(len(rows), np.nan)
groups = {"all labelled": labels >= 0, "mixed": share <= 0.5}
catalog, facts = galaxies.catalog[rows], {}
if "ttype" in catalog.colnames:
    facts["near the border, |T| < 1.5"] = np.abs(np.asarray(catalog["ttype"])) < 1.5
if "true_label" in catalog.colnames:
    facts["label is wrong"] = np.asarray(catalog["true_label"]) != labels
table = Table({"test galaxies": list(groups)})
table["number"] = [int(group.sum()) for group in groups.values()]
for name, fact in facts.items():
    inside = [fact[group] for group in groups.values()]
    table[name] = [f"{part.mean():.0%}" if len(part) else "–" for part in inside]
plates.show(table)

# %% [markdown]
# **How to read it.** Compare the two rows. The more the shares in the lower one exceed those in the
# upper, the more of the mixing belongs to the types and their labels; the rest is what the representation
# does not hold. (T-types and true labels are known of simulated galaxies, and of few others.)

# %%
maps.umap_pictures(galaxies, rows, positions).save(run)

# %% [markdown]
# **What to see.** Walk along the map. What changes: roundness, size, brightness, arms, a neighbour in the
# corner? Everything that changes smoothly is something the representation knows.
#
# ## What else does it know?
#
# Morphology is not the only thing that survives the transforms. Colour the map by other properties.

# %%
known = atlas.known_properties(galaxies, rows)
maps.umap_properties(positions, dict(list(known.items())[:6]), galaxies.card).save(run)

# %% [markdown]
# **What to see.** A colour that changes smoothly over the map is a quantity that the representation knows,
# wanted or not. Salt and pepper is one that it does not know, or that two dimensions have no room for.
# Which of the panels orders the map most strictly? The transforms of {ref}`ch-views` asked the network to
# forget some of these quantities, and left others alone: did they succeed?
#
# ## Measured in 64 dimensions, not on the map
#
# A separation that is seen on a map is not a measurement. So we ask in $h$ itself: of the ten nearest
# neighbours of a test galaxy, how many carry its label? Classes count equally, chance is one half. And
# we ask the same of two cheap competitors, the 64 principal components of the pixels and a network of
# the same shape with *random* weights, which sees each galaxy in as many orientations.

# %%
encoder = load_encoder(run / "pretrain" / "encoder.pt")
pca = baselines.pca_features(galaxies, encoder.normalize, seed=seed)
spaces = {
    learned: h[rows],
    "random weights": load_representation(run, name="untrained")[rows],
    "PCA-64 of the pixels": pca[rows],
}
agreement = {}
if two_types:
    for name, x in spaces.items():
        agreement[name] = atlas.neighbour_agreement(x, labels)
    on_map = atlas.neighbour_agreement(positions, labels, metric="euclidean")
    agreement["the map itself"] = on_map
shown = [(space, f"{share:.3f}") for space, share in agreement.items()]
shown = shown or [("no labels of two kinds", "–")]
plates.show(Table(rows=shown, names=("space", "agreement")))

# %%
if two_types:
    control = max(list(spaces)[1:], key=agreement.get)  # the better one
    gain = atlas.own_share(h[rows], labels) - atlas.own_share(spaces[control], labels)
    classes = [gain[labels == value] for value in (0, 1)]
    mean = np.mean([of_class.mean() for of_class in classes])
    error = np.sqrt(sum(of_class.var() / len(of_class) for of_class in classes)) / 2
    clear = "clear" if abs(mean) > 2 * error else "within the noise"
    print(f"{learned} minus {control}: {mean:+.3f} ± {2 * error:.3f}, {clear}")

# %% [markdown]
# **How to read it.** An agreement of 0.8 says that eight of ten neighbours are of a galaxy's own type.
# What was learned is not the agreement in the first row, but what it has more than the controls: they get
# theirs from what needs no learning, brightness and size for instance. The line above gives that difference
# with two standard errors. (These are rough, since galaxies share neighbours; {ref}`ch-probes` does better.)
#
# The same can be asked of every property. How well does the mean of a galaxy's ten neighbours tell its own
# value? $R^2$ is 1 if it tells all, and 0 if it is no better than the mean of all galaxies. Ten strangers
# give about $-0.1$.

# %%
told = {
    space: [atlas.neighbour_r2(x, values) for values in known.values()]
    for space, x in spaces.items()
}
table = Table({"property": list(known), **told})
table.sort(learned, reverse=True)
for space in spaces:
    table[space].format = ".2f"
plates.show(table)

# %%
order = list(table["property"])
print(f"known best in h: {order[0]}; least: {order[-1]}")
if "T-type" in order:
    before = ", ".join(order[: order.index("T-type")])
    print(f"known better than the T-type: {before or 'nothing'}")

# %% [markdown]
# **How to read it.** The first column is sorted: what stands above the T-type orders the space more than
# morphology does. Then compare the columns. What a network with random weights holds as well was not
# learned. What $h$ holds less than the pixels, it has been taught to forget, or could not keep. And a
# quantity that goes with the type, such as concentration, may be known only by way of it, or the other way
# round: this table cannot tell.

# %%
trust = atlas.trustworthiness(h[rows], positions)
print(f"trustworthiness: {trust:.3f} (1: all neighbours on the map are so in h)")

# %% [markdown]
# ## Limits
#
# The map shows the test galaxies only, from one seed of the network and one of UMAP. It is here to look
# at. No number in this book is computed from it, except those that judge the map itself.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-umap-seed
# ```
# Make the map of 500 galaxies with two seeds. Do the layouts agree, once one is turned, mirrored and scaled
# to fit the other? Do the *neighbourhoods*?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-umap-seed
# :class: dropdown
# ```


# %%
def shared(one, other, k=10):
    both = (atlas.nearest(positions, k, "euclidean") for positions in (one, other))
    return np.mean([len(set(a) & set(b)) / len(a) for a, b in zip(*both, strict=True)])


few = h[rows][:500]
one, other = (atlas.umap_map(few, seed=s) for s in (1, 2))
common = 1 - procrustes(one, other)[2]
print(f"layouts, after fitting: {common:.0%} of the variance in common")
print(f"ten nearest on the map: {shared(one, other):.0%} in common", end=" ")
print(f"(by chance {min(1, 10 / (len(few) - 1)):.0%})")
mirrored = one[:, ::-1]
assert procrustes(one, mirrored)[2] < 1e-6 and shared(one, mirrored) > 0.95

# %% [markdown]
# Positions may move at will, because a layout may be turned, mirrored and torn. Turning and mirroring change
# nothing: fitting takes them out, and the neighbours stay (the last line makes sure). What fitting leaves
# is the tearing. Only what two seeds share is worth a sentence.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-umap-random
# ```
# Draw the map of the random-weights space. Does it look structured too? What does that say about judging
# a representation by its UMAP, or by the trustworthiness of the map?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-umap-random
# :class: dropdown
# ```

# %%
random_map = atlas.umap_map(spaces["random weights"], **layout)
texts = {"space": "a network with random weights", "name": "fig-umap-random"}
maps.umap(random_map, labels, said, galaxies.card, **texts).save(run)

# %%
random_trust = atlas.trustworthiness(spaces["random weights"], random_map)
print(f"trustworthiness: {trust:.3f} for {learned}, {random_trust:.3f} for the other")
if two_types:
    for space in (learned, "random weights"):
        print(f"agreement in 64 dimensions: {agreement[space]:.3f} for {space}")

# %% [markdown]
# It has structure: random convolutions respond to size, brightness and concentration, and these go with
# type. Trustworthiness asks whether a map is true to *its own* space; it says nothing of whether that space
# is any good. A pretty and trustworthy map proves nothing; the comparison with a control, in 64
# dimensions, does.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - UMAP keeps neighbours, not distances. Print its parameters and its seed.
# - Quantify in $h$, beside PCA and random weights.
# - A representation knows more than one asked for. Find out what orders it.
#
# Next: {ref}`ch-probes`.

# %% tags=["hide-cell"]
found = {"agreement": agreement, "trustworthiness": trust, "n": len(rows)}
found["neighbour_r2"] = dict(zip(known, told[learned], strict=True))
_ = write_metrics(run, "04_umap", found, seed)
