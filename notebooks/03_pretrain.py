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
# (ch-pretrain)=
# # Learning without labels
#
# *How does a network learn to describe galaxies when nobody tells it what they are?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** what NT-Xent, the loss of SimCLR and MoCo, asks for, and to compute it by hand; why
# its temperature deserves the name; where SimCLR and MoCo take their strangers from; how to see that a
# representation has collapsed; and why the loss is a poor judge.
#
# **You need** {ref}`ch-views`, and to have met a neural network and gradient descent. If you have met
# the Boltzmann distribution, you know half of this chapter already.
#
# **In:** `dataset/`. **Out:** `pretrain/` (encoder, history, checkpoint) and `embedding/`.
#
# ```{include} ../book/_generated/time_03_pretrain.md
# ```
# :::
#
# ## The idea in one picture
#
# ```{figure} ../book/_static/simclr.svg
# :name: fig-simclr
# :alt: A galaxy gives two views. Each passes the same encoder to h and the same head to z. The two z are pulled together and pushed away from the z of another galaxy.
#
# SimCLR. Two views of each galaxy of a batch go through one encoder, which gives the
# {term}`representation` $h$, and through a small head, which gives the {term}`projection` $z$. The loss
# pulls the two $z$ of a galaxy together and pushes them away from those of all other galaxies. After
# the training the head is thrown away and $h$ is kept.
# ```
#
# Take a batch of $B$ galaxies and two views of each: $2B$ pictures. For each picture exactly one other
# shows the same galaxy, its *partner*; the remaining $2B-2$ are *strangers*. SimCLR
# {cite}`chen2020simple` makes a quiz of it: *given this view, which of the other $2B-1$ is its partner?*
# To answer well, the network has to find what two distorted views of one galaxy share and other
# galaxies do not. The quiz needs no labels. That what helps in it is morphology is a hope, and
# {ref}`ch-probes` measures how far it comes true. MoCo {cite}`he2020momentum` asks the same question and
# takes the strangers from elsewhere: {ref}`below <sec-moco>`, after SimCLR.
#
# ### Why a head at all?
#
# The quiz rewards whoever throws away what the transforms change: the angle, the depth of the exposure,
# a part of the colour. Some of that may be wanted later. The head takes this loss on itself, so that
# $h$, one step before it, need not. On photographs it could be read from $h$, but hardly from $z$,
# whether a picture had been turned, and $h$ described the objects much better {cite}`chen2020simple`. Is it so
# for galaxies? Below, both are measured.
#
# (sec-sixty-four)=
# ### How the numbers of $h$ are made
#
# The last convolution of the encoder gives some hundreds of maps, and the mean of each is one of its
# {term}`pooled features`. To be kept, drawn and searched for hundreds of thousands of galaxies, they are to
# become fewer numbers. There are two ways, and the setting `representation` names one:
#
# - *trained*: a last layer makes $h$ and is learned with everything else, and the head reads $h$. So it was in
#   the 2020 study. But then the quiz has its say in what that layer keeps.
# - *principal*: the head reads the pooled features. When the training is over, the directions in which the
#   training galaxies differ most are computed, and $h$ says where a galaxy lies along them. Nothing in $h$ was
#   learned for the quiz alone, and no label is needed for it.
#
# Which of them serves better can only be tried; {ref}`ch-choices` tells how such choices are judged.
#
# ## A quiz with one right answer
#
# Let $z_i$ be the projection of picture $i$, scaled to length 1: a point on a sphere. Two points are
# compared by the cosine of the angle between them, $s_{ik} = z_i \cdot z_k$, which is 1 if they coincide,
# 0 at a right angle, and $-1$ if they are opposite.
#
# The network answers with probabilities: how likely is candidate $k$ the partner of $i$? The
# {term}`softmax` makes them out of any scores $x_k$, as $e^{x_k} / \sum_m e^{x_m}$: all are positive,
# they add up to 1, and the highest score gets the most. With the cosines as scores, in units of a
# {term}`temperature` $\tau$,
#
# $$
# p_{ik} = \frac{\exp(s_{ik}/\tau)}{\sum_{m \ne i} \exp(s_{im}/\tau)} .
# $$ (eq-softmax)
#
# The loss of picture $i$ is the *surprise* at the truth, the partner $j$:
#
# $$
# \ell_i = -\log p_{ij} = -\log \frac{\exp(s_{ij}/\tau)}{\sum_{m \ne i} \exp(s_{im}/\tau)} .
# $$ (eq-ntxent)
#
# So **$e^{-\ell}$ is the probability that the network gives to the right answer**, and that is how to read
# every loss in this chapter. Who is certain and right pays nothing. Who gives all $2B-1$ candidates the
# same probability pays $\log(2B-1)$: guessing. Who is wrong pays the more, the surer it was. The mean over
# the $2B$ pictures is {term}`NT-Xent`, the *normalised* (length 1) *temperature-scaled cross entropy*
# {cite}`chen2020simple`; cross entropy is the statistician's word for the surprise.
#
# :::{admonition} For the physicist
# :class: note
# {eq}`eq-softmax` is a Boltzmann distribution. Candidate $k$ is a state of energy $E_k = -s_{ik}$, the sum is
# the partition function $Z$, and $\tau$ is the temperature, with $k_\mathrm{B} = 1$. With the free energy
# $F = -\tau \log Z$ the loss is $\ell_i = (E_j - F)/\tau$: it vanishes when the partner is the ground state
# and the temperature is too low to excite any other.
# :::
#
# (sec-calculator)=
# ### Four views and a calculator
#
# Two galaxies, two views each: $a, a', b, b'$. Let view $a$ have the cosines
#
# | with | $a'$, its partner | $b$, a stranger | $b'$, a stranger |
# |---|---:|---:|---:|
# | cosine | 0.8 | 0.2 | 0.1 |
#
# and let $\tau = 0.5$. Then
#
# $$
# p_{aa'} = \frac{e^{0.8/0.5}}{e^{0.8/0.5} + e^{0.2/0.5} + e^{0.1/0.5}}
#         = \frac{4.953}{4.953 + 1.492 + 1.221} = 0.646 ,
# $$
#
# and the loss is $\ell_a = -\log 0.646 = 0.437$. Guessing among three would cost $\log 3 = 1.099$.
# Before you read on, take the calculator: what is the loss at $\tau = 0.1$? And at both temperatures, if
# the partner had 0.2 and the stranger 0.8? The answers are {ref}`below <sec-by-hand>`.
#
# ### The loss is a force
#
# A network learns by going downhill in the loss, so minus the gradient is the force on each cosine:
#
# $$
# -\frac{\partial \ell_i}{\partial s_{ij}} = +\frac{1 - p_{ij}}{\tau} \;\; \text{(pull)} ,
# \qquad
# -\frac{\partial \ell_i}{\partial s_{ik}} = -\frac{p_{ik}}{\tau} \;\; \text{(push)} .
# $$ (eq-force)
#
# Three things can be read from it. The pull equals the sum of the pushes. Where the quiz is solved,
# $p_{ij} \approx 1$, both vanish: that picture teaches nothing more. And each stranger is pushed in
# proportion to its Boltzmann factor, so the most similar ones, the {term}`hard negatives <hard negative>`,
# are pushed the most. {ref}`ex-force` puts this into one line.
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run, from the project's root
seed: int = 0  # seed of the weights, the order of the galaxies and the views
method: str = "simclr"  # simclr or moco
encoder: str = "cnn4"  # cnn4 (small, for CPUs), cnn4-wide or resnet18
representation_dim: int = 64  # numbers that describe a galaxy, D
representation: str = "principal"  # how they are made: principal (computed at the end), or trained
hidden_dim: int = 256  # width of the head inside
projection_dim: int = 64  # numbers that the loss sees, Z
epochs: int = 15  # times each training galaxy is seen, in two views
batch_size: int = 256  # galaxies in a batch; simclr: a view has 2 x this - 2 strangers in it
learning_rate: float = 0.001  # peak rate of AdamW, after the warm-up; (0, 10]
warmup_epochs: int = 2  # epochs over which the rate rises
weight_decay: float = 0.0001  # of AdamW; [0, 1]
temperature: float = 0.2  # NT-Xent temperature; (0, 5]
memory_bank_size: int = 4096  # moco: projections that are remembered; at most half of the galaxies
momentum: float = 0.99  # moco: of the copy that makes the keys, per step; [0, 1]
precision: str = "auto"  # auto (bf16 where supported), 32-true or bf16-mixed
max_minutes: float = 0  # fit the schedule into this time; 0 for no limit
devices: int = 1  # GPUs on each computer; more than 1 is started with torchrun
num_nodes: int = 1  # computers that train together
cuda_graphs: bool = False  # on one GPU: start all kernels of a step together
resume: bool = True  # take up an interrupted run, keep a finished one
n_seeds: int = 1  # pretrainings, of seeds from `seed` on; the first is shown
orientations: int = 8  # orientations over which h is averaged: 1, 4 or 8
normalize: str = "auto"  # asinh, minmax, identity or auto (asinh for flux)
probability: float = 0.5  # of each transform but rotation and flip; [0, 1]
zoom: float = 1.25  # largest zoom factor, its inverse the smallest; [1, 4]
recentre_px: float = 2.0  # largest shift along x and y [pixels]
band_scaling: float = 0.1  # each band is multiplied by 1 +- at most this; [0, 1]
seeing_px: float = 1.0  # largest sigma of the additional blur [pixels]
noise: float = 0.5  # largest additional noise [rms of the sky]
cutout: float = 0.25  # largest side of the square that is cut out [stamp sides]; [0, 1]

# %%
from dataclasses import asdict, replace

import numpy as np
import torch
from astropy.table import Table
from lightly.loss import NTXentLoss

from galclr_utils import GalaxySet, baselines, charts, load_encoder, metrics, plates
from galclr_utils.checks import choice, number
from galclr_utils.contrast import build_model
from galclr_utils.embedding import embed, load_model
from galclr_utils.encoders import Encoder
from galclr_utils.galaxy_views import GalaxyViews
from galclr_utils.pretrain import pretrain
from galclr_utils.provenance import run_path, whole_file, write_metrics
from galclr_utils.recipe import NAMES, Settings, bank_size, n_strangers
from galclr_utils.trained import parts_of_seeds

run = run_path(run_dir)
galaxies = GalaxySet.load(run / "dataset")
n_seeds = number("n_seeds", n_seeds, 1, 1000, integer=True)
orientations = number("orientations", orientations, 1, 8, integer=True)
orientations = choice("orientations", orientations, (1, 4, 8))

# %%
settings = Settings(
    method=method,
    encoder=encoder,
    representation_dim=representation_dim,
    representation=representation,
    hidden_dim=hidden_dim,
    projection_dim=projection_dim,
    epochs=epochs,
    batch_size=batch_size,
    learning_rate=learning_rate,
    warmup_epochs=warmup_epochs,
    weight_decay=weight_decay,
    temperature=temperature,
    memory_bank_size=memory_bank_size,
    momentum=momentum,
    precision=precision,
    max_minutes=max_minutes,
    seed=seed,
    devices=devices,
    num_nodes=num_nodes,
    cuda_graphs=cuda_graphs,
)
ranges = {"zoom": zoom, "recentre_px": recentre_px, "band_scaling": band_scaling}
ranges |= {"seeing_px": seeing_px, "noise": noise, "cutout": cutout}
views = GalaxyViews.for_set(galaxies, normalize=normalize, p=probability, **ranges)

# %% [markdown]
# (sec-by-hand)=
# ## NT-Xent, by hand
#
# First the four views of {ref}`the calculator <sec-calculator>`, the partner in front.


# %%
def partner_probability(cosines, temperature):
    return torch.softmax(torch.tensor(cosines) / temperature, dim=0)[0].item()


table = Table(names=["partner", "strangers", "temperature", "p", "loss"], dtype="fOfff")
for cosines in ([0.8, 0.2, 0.1], [0.2, 0.8, 0.1], [0.5, 0.5, 0.5]):
    for tau in (0.5, 0.1):
        p = partner_probability(cosines, tau)
        strangers = f"{cosines[1]}, {cosines[2]}"
        table.add_row([cosines[0], strangers, tau, p, -np.log(p)])
table["p"].format = table["loss"].format = ".3f"
assert abs(table["loss"][0] - 0.437) < 5e-4
plates.show(table)

# %% [markdown]
# Cooling from 0.5 to 0.1 turns the first quiz into a solved one. The same cooling makes the second,
# where a stranger is nearer than the partner, very expensive: a small temperature punishes a wrong
# neighbour hard. And if all cosines are equal, no temperature helps.
#
# Automatic differentiation finds the forces of {eq}`eq-force`:

# %%
cosines, tau = torch.tensor([0.8, 0.2, 0.1], requires_grad=True), 0.5
loss = -torch.log_softmax(cosines / tau, dim=0)[0]
loss.backward()
force = -cosines.grad
p = torch.softmax(cosines.detach() / tau, dim=0)
assert torch.allclose(force, torch.tensor([1 - p[0], -p[1], -p[2]]) / tau)
print("force on the cosines:", ", ".join(f"{f:+.3f}" for f in force))
print(f"their sum: {abs(force.sum()):.3f}")

# %% [markdown]
# Now a whole batch, in a few lines. We draw two views of some galaxies, send them through the network
# from which the training will start, and compare with lightly's NT-Xent, which the training uses.


# %%
def cosines_of(z_a, z_b):
    z = torch.nn.functional.normalize(torch.cat([z_a, z_b]), dim=1)  # of length 1
    return (z @ z.T).fill_diagonal_(-torch.inf)  # nobody is its own candidate


def partners(z_a):
    return torch.arange(2 * len(z_a)).roll(len(z_a))  # rows k and k + B are one galaxy


def ntxent(z_a, z_b, temperature):
    scores = cosines_of(z_a, z_b) / temperature
    return torch.nn.functional.cross_entropy(scores, partners(z_a))


# %%
train, val = galaxies.indices("train"), galaxies.indices("val")
split, few = ("validation", val[:64]) if len(val) > 3 else ("training", train[:64])
stamps = torch.from_numpy(galaxies.images[few]).float()
generator = torch.Generator().manual_seed(settings.seed)
pair = torch.cat([views(stamps, generator), views(stamps, generator)])
name, size = settings.encoder, settings.representation_dim
fresh = Encoder(name, size, views.normalize, stamps.shape[1], settings.seed)
untrained = build_model(settings, fresh)
with torch.no_grad():
    # .train(): batch norm uses the batch's own mean and variance, as while learning
    before = untrained.train().project(pair)[1].double().chunk(2)
ours = ntxent(*before, settings.temperature).item()
theirs = NTXentLoss(settings.temperature)(*before).item()
print(f"{len(few)} {split} galaxies: by hand {ours:.5f}, lightly {theirs:.5f}")
assert np.isclose(ours, theirs, rtol=1e-4)

# %% [markdown]
# The loss asks how sure the network is. The plainer *quiz score* only asks who comes first: in what share
# of the views is the most similar candidate the partner?


# %%
def quiz_score(z_a, z_b):
    return (cosines_of(z_a, z_b).argmax(dim=1) == partners(z_a)).double().mean().item()


n_candidates = 2 * len(few) - 1
print(f"guessing : loss {np.log(n_candidates):.3f}, quiz score {1 / n_candidates:.3f}")
print(f"untrained: loss {ours:.3f}, quiz score {quiz_score(*before):.3f}")
print(f"probability of the partner: {1 / n_candidates:.4f} and {np.exp(-ours):.4f}")

# %% [markdown]
# By its loss, an untrained network is not far from guessing. Two views of one galaxy have much in common
# whatever one computes from them, so partners are more alike than strangers; but that is not enough, for
# one of two reasons. The head of SimCLR ends in a {term}`batch norm`, which spreads any galaxies over the
# sphere: the cosines scatter so widely that the network is often sure of the wrong candidate, and NT-Xent
# makes that expensive, at times more than guessing. The head of MoCo has no batch norm and leaves all
# galaxies in one corner: all candidates get nearly the same probability. The quiz score does not mind:
# compare it with guessing, and remember it when random weights turn up as a competitor in {ref}`ch-probes`.
#
# ### What the temperature does
#
# Look at one view of the untrained network, and at how its push is shared among the strangers.

# %%
strangers = np.delete(cosines_of(*before)[0].numpy(), [0, len(few)])
temperatures = [settings.temperature * factor for factor in (0.25, 1, 4)]
charts.push(strangers, temperatures, galaxies.card).save(run)

# %% [markdown]
# **What to see.** Each curve on the left is a Boltzmann factor. Cold, nearly all of the push goes to the
# few nearest strangers; warm, everybody is pushed almost alike. The circles are the temperature of this
# run. Cold training takes look-alikes apart and finds fine differences, but galaxies that *are* alike are
# look-alikes too: every other galaxy counts as a stranger, even one of the same type. Warm training
# spreads everything out and leaves the details alone. Neither end is right, so the temperature is a
# parameter, to be chosen on validation galaxies.
#
# ## The training
#
# The network sees each training galaxy many times, always in new views. The learning rate rises for a
# short while and then follows half a cosine down to zero. About ten times on the way we look at the
# validation galaxies, never at test. An interrupted run goes on where it stopped; a finished one with
# the same inputs is not run again.

# %%
record = pretrain(run, views, resume, **asdict(settings))
others = range(settings.seed + 1, settings.seed + n_seeds)
for other in others:
    again = asdict(replace(settings, seed=other))
    pretrain(run, views, resume, part=f"seed{other}", **again)
minutes = record["seconds"] / 60
seen = record["steps"] / record["steps_per_epoch"]
print(f"{NAMES[settings.method]}: {record['steps']} steps, {seen:.1f} epochs", end=" ")
print(f"in {minutes:.1f} minutes, {record['precision']}")

# %% [markdown]
# **Predict first.** What will the loss do, and where between guessing and 0 will it end? The
# {term}`kNN accuracy` is the share of validation galaxies whose nearest training galaxies in $h$ vote for
# the right type: will it follow the loss? {term}`Alignment <alignment>` is the mean squared distance between
# the two views of a galaxy on the sphere, 0 if they coincide. {term}`Uniformity <uniformity>` says how evenly
# all galaxies cover the sphere: 0 if they sit in one point, and near $-4$ if they are spread as evenly as
# many dimensions allow. Both are taken from $z$. Which of the two has to pay for the other?

# %%
history = Table.read(run / "pretrain" / "history.csv")
in_batch, bank = min(settings.batch_size, len(train)), bank_size(settings, len(train))
space = "h" if settings.representation == "trained" else "pooled features"
labels = galaxies.labels[galaxies.labelled("val")]
late = labels.mean() if len(labels) else np.nan
told = {"commoner": max(late, 1 - late), "bank": bank, "space": space}
charts.history(history, galaxies.card, in_batch, settings.temperature, **told).save(run)

# %% [markdown]
# **What to see.** Two dashed lines frame the loss. The upper is guessing, the logarithm of the number of
# candidates, which is $2B-1$ in SimCLR. The lower would be reached if the two views of each galaxy coincided
# and all strangers stood at right angles ({ref}`ex-guess`). The loss usually falls quickly and then slowly.
# (With MoCo it may rise first: its memory begins with random points, which are easily told from galaxies.)
# The kNN accuracy has a mind of its own. *The loss measures the quiz, and the quiz is not the aim*: an easier
# transform, a smaller batch or another temperature changes the loss and says nothing of quality.
#
# Epoch 0 is the untrained network, before it has a loss. If its alignment is almost perfect and its
# uniformity near 0, it puts all galaxies into one corner of the sphere, where partners are near each
# other because everybody is. Alignment alone proves nothing: NT-Xent trades it against uniformity
# {cite}`wang2020understanding`. In {eq}`eq-ntxent` the numerator asks for the one and the denominator for
# the other. (For these looks the network uses the remembered statistics of its batch norm, as it
# will ever after; while learning, and in the quiz, it uses those of the batch, which keep the galaxies
# apart. After a very short training the memory lags behind, and the two disagree.)
#
# ### Collapse
#
# A network that maps every galaxy to the same point has perfect alignment and knows nothing. The
# strangers in NT-Xent stop that, if the learning rate lets them. The {term}`feature spread` is 0 if the
# $h$ of all galaxies point the same way from the origin, and 1 if they point in all directions evenly.
# (With `representation: principal` it is that of the pooled features, since $h$ is made of them at the end.)
# It is watched, and a value below the dashed line is reported as a collapse.

# %%
spread = history["feature_spread"][-1]
if np.isfinite(spread):
    print(f"feature spread {spread:.2f}; collapsed: {record['collapsed']}")
else:
    print("no validation galaxies: nobody has looked for a collapse")

# %% [markdown]
# (sec-moco)=
# ## MoCo: a memory in place of a large batch
#
# In SimCLR the strangers are the rest of the batch. A harder quiz takes a larger batch, and all of it has
# to fit into memory at once. *Momentum contrast* {cite}`he2020momentum` separates the two by remembering:
#
# - **A {term}`memory bank`** keeps the $z$ of galaxies seen before, first in, first out. At each step those
#   of the batch come in and the oldest go. The strangers are the $K$ in the bank, however small the batch.
# - But what the bank keeps was made by the network of many steps ago, and the network has changed since.
#   Compared with it, even a similar galaxy would look strange. So a second network makes what is
#   remembered: **a {term}`momentum encoder`**, the *copy*. It learns nothing, and follows the network slowly,
#   so that all of the bank is made by nearly the same network.
#
# With the weights $\theta_q$ of the network and $\theta_k$ of the copy, each step begins with
#
# $$
# \theta_k \leftarrow m\,\theta_k + (1-m)\,\theta_q .
# $$ (eq-momentum)
#
# One view of a galaxy, the *query* $q$, goes through the network, the other, the *key* $k_+$, through the copy.
# The loss is the surprise of {eq}`eq-ntxent`, asked of the query only, with the remembered keys $k_1 \dots k_K$
# as strangers:
#
# $$
# \ell = -\log \frac{\exp(q \cdot k_+/\tau)}{\exp(q \cdot k_+/\tau) + \sum_{j=1}^{K} \exp(q \cdot k_j/\tau)} .
# $$ (eq-moco)
#
# Everything said above of temperature and forces holds for it. No gradient flows through the copy, which
# saves a part of the work. After the training the network is kept, and copy and bank are thrown away.
#
# How many strangers would a view of this data set have?

# %%
sizes = [size for size in (16, 64, 256, 1024) if size <= len(train)] or [len(train)]
table = Table({"galaxies in a batch": sizes})
for kind, title in NAMES.items():
    asked = [replace(settings, method=kind, batch_size=size) for size in sizes]
    table[title] = [n_strangers(one, len(train)) for one in asked]
plates.show(table)

# %% [markdown]
# **How to read it.** In SimCLR strangers are paid for with memory, in MoCo they are there from the first row
# on. The bank is never larger than half of the galaxies: the larger it is, the more often a galaxy
# meets its own earlier key as a stranger.
#
# How old is what MoCo remembers? And how far is the copy from the network, which it is to stand for?

# %%
bank_if_moco = bank_size(replace(settings, method="moco"), len(train))
remembered = settings.momentum, bank_if_moco, in_batch
charts.memory(*remembered, history, galaxies.card).save(run)

# %% [markdown]
# **What to see.** Two memories that fade: the bank forgets all at once what is $K/B$ steps old, the copy
# forgets gradually. The copy should not change much while a key stays in the bank, so its curve should
# not lie far below that of the bank. But with $m$ too near 1 it lags behind a network that learns quickly,
# and a short training ends before it has followed. A run that trains MoCo (`method: moco`) shows the lag in
# a second panel: where is the copy farthest from the network, and does it catch up as the learning rate
# goes down?
#
# One thing can go wrong. Batch norm lets the galaxies of a batch know of each other, and
# in MoCo the partner comes from the query's own batch while the strangers come from others. A network might
# tell them apart by that, not by the galaxy. The original shuffles galaxies between GPUs against it
# {cite}`he2020momentum`. One device has nobody to shuffle with. The smaller a batch, the more its statistics give
# away, so do not make it very small.
#
# ## What the training has done
#
# The same views as above, asked again. First the quiz for a few galaxies, with only their second views as
# candidates:

# %%
model = load_model(run)
with torch.no_grad():
    after = model.train().project(pair)[1].double().chunk(2)
shown = min(20, len(few))
first = slice(shown), slice(len(few), len(few) + shown)  # rows: view 1, columns: view 2
quizzes = (cosines_of(*z)[first].numpy() for z in (before, after))
charts.similarities(*quizzes, galaxies.card, split).save(run)

# %% [markdown]
# **What to see.** Each row is one question, the white dot its answer, and on the diagonal the answer is
# right. To get there, the diagonal must become the reddest field of its row: by pull, or by push on the
# others. Then look for red off the diagonal: those galaxies are look-alikes, for the network at least.
# Some fields may even be redder than before. A stranger costs something only if it competes with the
# partner.
#
# And the quiz for all of the views, with all candidates:

# %%
table = Table(names=["network", "loss", "p", "quiz score"], dtype="Offf")
table.add_row(["guessing", np.log(n_candidates), 1 / n_candidates, 1 / n_candidates])
for name, z in {"untrained": before, "trained": after}.items():
    loss = ntxent(*z, settings.temperature).item()
    table.add_row([name, loss, np.exp(-loss), quiz_score(*z)])
for name in table.colnames[1:]:
    table[name].format = ".3f"
plates.show(table)

# %% [markdown]
# Here $p = e^{-\ell}$ is the (geometric) mean probability of the right answer. This loss need not agree
# with the last one of the history: there were another number of candidates, and other galaxies.
#
# ## The numbers that are kept
#
# Now the encoder describes all galaxies. It is asked about each in several orientations, quarter turns
# and their mirror images, and the answers are averaged: a galaxy has no up, so nothing that depends on
# how it lies should stay in $h$. (If the winding of the arms is your question, mirror images are too
# much, here and among the transforms.) The projection $z$ of the averaged $h$ is stored too, to compare.
#
# Beside the encoder its *control* is kept, with an $h$ of its own, for all later chapters: a network of the same
# shape whose weights stay as they were drawn. In all else it is treated as the trained one was.

# %%
h, z = embed(run, orientations)
for s, part in parts_of_seeds(run, n_seeds).items():
    embed(run, orientations, part=part)
    trained = load_encoder(run / "pretrain" / part / "encoder.pt")
    control = baselines.random_encoder(galaxies, trained, seed=s + 1000)
    control.save(run / "pretrain" / part / "untrained.pt")
    with whole_file(run / "embedding" / part / "untrained.npy") as file:
        np.save(file, control.embed(galaxies.images, orientations=orientations))
voters, judged = galaxies.labelled("train")[:4096], galaxies.labelled("val")[:2048]
table = Table(names=["space", "orientations", "kNN accuracy", "error"], dtype="Oiff")
if len(judged) and len(np.unique(galaxies.labels[voters])) == 2:
    votes = {(space, 1): history["knn_accuracy"][-1]}
    for name, made in {"h": h, "z": z}.items():
        asked = made[judged], galaxies.labels[judged]
        accuracy = metrics.knn_accuracy(made[voters], galaxies.labels[voters], *asked)
        votes[name, orientations] = accuracy
    for (name, n), share in votes.items():
        table.add_row([name, n, share, np.sqrt(share * (1 - share) / len(judged))])
else:
    print("no labels of both types to vote with: this chapter does not need them")
table["kNN accuracy"].format = table["error"].format = ".3f"
plates.show(table)

# %% [markdown]
# The first row is the last look of the training, which asked in one orientation to save time; the other
# two are averaged. The error is $\sqrt{p(1-p)/n}$, for $n$ validation galaxies and a share $p$ of right
# votes: a difference below about two of these errors is noise, unless a comparison galaxy by galaxy says
# otherwise, as {ref}`ch-probes` makes. Is $h$ better than $z$ here, as it is for photographs? By more than
# the noise?
#
# ## Limits
#
# One network from one seed; another seed gives another space and somewhat other numbers. The small
# profile trains for a few minutes on a CPU. The study that is reproduced here trained on 377,419
# galaxies for 1000 epochs; `notebooks/profiles/poster.yml` holds that configuration, {ref}`ch-scale` says
# how it is trained on GPUs, and {ref}`ch-speed` how long that takes. `notebooks/profiles/moco.yml` is the
# profile `small` with MoCo in place of SimCLR, in every chapter.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-guess
# ```
# What is the loss of NT-Xent if all projections are the same point (collapse)? And if partners
# coincide while all strangers are at right angles? Compute both for the views and the temperature above.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-guess
# :class: dropdown
# ```

# %%
half, tau = len(few), settings.temperature
point = torch.ones(half, 8, dtype=torch.double)
corners = torch.eye(half, dtype=torch.double)
collapsed, perfect = (ntxent(x, x, tau).item() for x in (point, corners))
by_formula = np.log1p((2 * half - 2) * np.exp(-1 / tau))
print(f"collapsed {collapsed:.3f}, log(2B-1) {np.log(2 * half - 1):.3f}")
print(f"right angles {perfect:.3f}, by formula {by_formula:.3f}")
assert abs(collapsed - np.log(2 * half - 1)) < 1e-3
assert abs(perfect - by_formula) < 1e-3

# %% [markdown]
# A collapse guesses. And at right angles the loss is not 0 but $\log(1 + (2B-2)\,e^{-1/\tau})$: at a finite
# temperature the many strangers keep some probability, however far away they are. Losses can only be
# compared at the same batch size and temperature.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-force
# ```
# Show that the force on a point of the sphere is
#
# $$
# -\frac{\partial \ell_i}{\partial z_i} = \frac{z_j - \langle z \rangle}{\tau} ,
# \qquad \langle z \rangle = \sum_{k \ne i} p_{ik} z_k :
# $$
#
# *towards the partner, away from the thermal mean*, which is where the network looks for it. Check it with automatic differentiation, and say when it vanishes.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-force
# :class: dropdown
# ```

# %%
z_unit = torch.nn.functional.normalize(torch.cat(before), dim=1)
me, partner, candidates = z_unit[0].clone().requires_grad_(), z_unit[half], z_unit[1:]
log_p = torch.log_softmax(candidates @ me / tau, dim=0)
loss = -log_p[half - 1]  # without me, the partner is one place further up
loss.backward()
force = (partner - log_p.detach().exp() @ candidates) / tau
assert torch.allclose(-me.grad, force)
print(f"length of the force on one view: {force.norm():.3f}")

# %% [markdown]
# Write $\ell_i = -z_i \cdot z_j/\tau + \log \sum_k \exp(z_i \cdot z_k/\tau)$ and differentiate: the first
# term gives the partner, the second the mean. The force vanishes where the thermal mean is the partner,
# which means that the quiz is solved (or that all candidates coincide: a collapse is an equilibrium,
# though an unstable one). Since $z_i$ has length 1, only the part along the sphere moves it. The others
# feel forces, too: in the loss of $i$, stranger $k$ feels $-p_{ik}\, z_i / \tau$, and the partner
# $+(1 - p_{ij})\, z_i / \tau$.
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-false-negatives
# ```
# NT-Xent treats every other galaxy as a stranger, even one of the same type. What share of the strangers
# of a late galaxy is late too? Why does the training work all the same?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-false-negatives
# :class: dropdown
# ```

# %%
kinds = galaxies.labels[few]
late_galaxies = int((kinds == 1).sum())
if late_galaxies:
    share = (late_galaxies - 1) / (len(few) - 1)
    print(f"of the strangers of a late galaxy above, {share:.0%} are late too")
same = torch.from_numpy((kinds[:, None] == kinds) & ~np.eye(half, dtype=bool))
other = torch.from_numpy(kinds[:, None] != kinds)
if (kinds >= 0).all() and same.any() and other.any():
    for name, z_pair in {"untrained": before, "trained": after}.items():
        found = cosines_of(*z_pair)[:half, half:]
        alike, apart = found[same].mean(), found[other].mean()
        print(f"{name}: mean cosine {alike:+.3f} within a type, {apart:+.3f} across")

# %% [markdown]
# As large a share as the late types have in the survey: often more than half. But each view is also
# pulled to its own partner, and the network is one smooth function for all galaxies: it cannot send two
# galaxies that look alike under all transforms to far places without sending two views of one galaxy
# there, too. So what looks alike stays near, and the push spreads a type out along what differs within
# it: inclination, size, arms. Whether the types stay separable is not promised by the loss. The mean
# cosines give a first hint, and the probes measure it.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - NT-Xent is a quiz: find the other view of this galaxy among many. $e^{-\ell}$ is the probability of the
#   right answer.
# - SimCLR takes the strangers from the batch, MoCo from a memory that a slow copy of the network fills.
# - The partner pulls, strangers push, and the temperature says how many of them count.
# - Loss is not quality. Watch kNN accuracy on validation galaxies, and the spread.
# - $h$ is kept, as in the original, and averaged over orientations; whether it beats $z$ has to be measured.
#
# Next: {ref}`ch-umap`.

# %% tags=["hide-cell"]
last = {name: float(history[name][-1]) for name in history.colnames}
quiz = {"quiz_before": quiz_score(*before), "quiz_after": quiz_score(*after)}
facts = {name: record[name] for name in ("steps", "seconds", "collapsed")}
_ = write_metrics(run, "03_pretrain", {**facts, **quiz, **last}, settings.seed)
