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
# (ch-speed)=
# # How fast, and why
#
# *How long would a training take if the machine wasted nothing, how long does it take, and where does
# the difference go?*
#
# :::{admonition} At a glance
# :class: tip
# **You will learn** to compute the shortest time a training can take, before you run it; to find where
# the time of a step goes; why two improvements can be worth little each and much together; and how to
# tell a measured time from a guess.
#
# **You need** {ref}`ch-pretrain`. Nothing about processors.
#
# **In:** the folder `benchmarks/results` of the project. **Out:** nothing that another chapter reads.
#
# ```{include} ../book/_generated/time_10_speed.md
# ```
# :::
#
# ## Why care?
#
# A score needs an interval, an interval needs repetitions, and each repetition is a training. Twice as
# fast means twice as many seeds, or a survey twice as large, on the same computer and the same power.
#
# But how fast is fast? "Four times faster than another program" says nothing of how slow the other one
# was. An astronomer would not plan a night like that. She asks how many photons she needs and how many
# arrive per second with a perfect telescope, and divides. Then she compares with the exposure time that
# it takes in fact, and the ratio is the throughput of her instrument. The same can be done here, with
# *operations* and *bytes* in place of photons.
#
# :::{admonition} These times were not measured in this build
# :class: important
# Whatever else a computer does slows the program that is being timed, and the building of a book is
# something else to do. So the times were measured at another time, by the scripts in the folder
# `benchmarks` of the project, on a machine that was otherwise idle, and stored with it. The first cell
# below says on which machine and when. Yours is another one: measure there, with the commands in
# `benchmarks/README.md`. What is *counted* here (operations, bytes) is counted now, and holds everywhere.
# :::
#
# **Predict first.** Write your guesses down; the chapter answers them one by one.
#
# 1. The standard tools prepare each random view by itself, in Python, with a library made for photographs.
#    Ours prepares a whole batch at once. Which part of a training step is spent on preparing views, in
#    the one and in the other?
# 2. Suppose that part became free of charge. How much faster would the *whole* be?
# 3. Which share of what the processor can do at best does the training of a small network reach? Of a
#    large one?
# 4. Numbers with two or three digits instead of seven make the multiplications several times faster. Do
#    they cost accuracy?
# 5. Ten times as many galaxies: how many times longer does each stage take?
#
# ## Parameters

# %% tags=["parameters"]
run_dir: str = "runs/small"  # folder of the run; a relative one starts at the project's root
seed: int = 0  # recorded with the numbers of this chapter; nothing in it is random
results_dir: str = "benchmarks/results"  # where the measured times lie

# %%
import numpy as np
import torch
import yaml
from astropy.table import Table
from torch.utils.flop_counter import FlopCounterMode

from galclr_utils import floors, gauges, plates, reports, timings
from galclr_utils.contrast import SimCLR
from galclr_utils.encoders import Encoder
from galclr_utils.provenance import project_root, run_path, write_metrics
from galclr_utils.timings import digits

run = run_path(run_dir)
names = ("speed", "growth", "precision", "gpu")
speed, growth, precision, gpu = (timings.load(results_dir, name) for name in names)
for name, found in zip(names, (speed, growth, precision, gpu), strict=True):
    print(f"{name}: {found.origin if found else timings.absent(name)}")

# %% [markdown]
# ## What must be computed
#
# Nearly all the work of the {term}`encoder` is in its convolutions. For one value of its output, a
# convolution multiplies a window of $k \times k$ pixels in all its $C_\mathrm{in}$ input channels with
# weights, and adds up. A multiplication and an addition are two {term}`floating-point operations <FLOP>`,
# so
#
# $$
# \text{FLOP} = 2 \; k^2 C_\mathrm{in} \; C_\mathrm{out} H W .
# $$ (eq-flop)
#
# The first layer of `cnn4` makes 32 channels from the 3 bands of a stamp of $32 \times 32$ pixels with
# $k = 3$: $2 \cdot 9 \cdot 3 \cdot 32 \cdot 32 \cdot 32 = 1.77$ million. Here is the whole network, layer
# by layer, for one view:

# %%
STAMP = (3, 32, 32)  # bands and pixels; the benchmarks measure at this size
models = {name: SimCLR(Encoder(name)) for name in ("cnn4", "resnet18")}
cnn4 = floors.layers(models["cnn4"].encoder, STAMP)
assert cnn4["flop"][0] == 2 * 9 * 3 * 32 * 32 * 32
products = np.isin(cnn4["layer"], ("Conv2d", "Linear"))
table = cnn4[products]
table["million FLOP"] = table["flop"] / 1e6
table["million FLOP"].format = ".2f"
table.remove_column("flop")
table.rename_columns(["values_in", "values_out"], ["values in", "values out"])
plates.show(table)

# %% [markdown]
# **What to see.** The convolutions after the first cost exactly the same. From one of them to the next, the
# channels double at both ends, which makes four times the products, on a quarter of the pixels. It is a rule
# of thumb by which such networks are built.
#
# A training also goes backwards: for each layer it needs the derivative by its input, to hand it down,
# and by its weights, to change them. Each is again as many products as the way forward, so a step costs
# about *three* times as much. (Not quite: nobody needs the derivative by the pixels.) Torch can count
# while it computes; it looks at the same products, so it must find the same number. In millions a view:


# %%
def count(model, backward):
    views = torch.zeros(2, *STAMP)
    with FlopCounterMode(display=False) as counter:
        _, z = model(views)
        if backward:
            z.sum().backward()
    return counter.get_total_flops() / len(views)


work = Table(names=["encoder", "parameters", "forward", "step"], dtype="Oiff")
for name, model in models.items():
    n_parameters = sum(p.numel() for p in model.parameters())
    work.add_row([name, n_parameters, count(model, False), count(model, True)])
by_hand = cnn4["flop"][products].sum()
assert 0.99 < by_hand / work["forward"][0] < 1  # the rest is the head
if speed and "flop_per_view" in speed.facts:  # the benchmark has counted, too
    assert np.allclose(list(speed.facts["flop_per_view"].values()), work["step"], rtol=0.01)
shown = work.copy()
for name in ("forward", "step"):
    shown[name] = work[name] / 1e6
    shown[name].format = ".1f"
plates.show(shown)

# %% [markdown]
# ## What must be moved
#
# A processor that multiplies fast can still starve. Every value that a layer makes is written to memory,
# and somebody reads it: the next layer on the way forward; on the way back the layer needs it again, and
# a derivative of the same size is written and read once. That is *five* passes over every value, at the
# least, and only if all that follows a convolution (batch norm, ReLU) is done while the value is at hand.
#
# Let $F$ be the operations, $R$ the rate of the machine in operations per second, $D$ the bytes that
# must pass through memory and $W$ its bandwidth. Both can go on at the same time, so
#
# $$
# t \; \ge \; \max\left( \frac{F}{R}, \; \frac{D}{W} \right) ,
# $$ (eq-floor)
#
# and this is the *floor*: if $R$ and $W$ are the best that the machine can do, no program is faster. The
# picture of it in two logarithmic axes is known as the {term}`roofline` {cite}`williams2009roofline`. A layer
# with few operations for each byte hangs on the bandwidth, one with many on the arithmetic.
#
# :::{admonition} For the astronomer
# :class: note
# It is the question whether an exposure is limited by the photon noise of the source or by the read noise
# of the detector. Before you know which, you do not know what to improve.
# :::
#
# ## The floor, and how far we are above it
#
# $R$ and $W$ are not taken from a data sheet. They were measured in the same run as everything else, by
# the two things that a machine does best: the product of two large matrices ({term}`GEMM`), and a
# plain copy. Low and high are the worst and the best round. (G is for a billion; a thread is a sequence of
# work, and two of them keep two cores busy; `fp32` and `bf16` are numbers of 32 and of 16 bits, of which more
# below.)

# %%
if speed:
    machine = speed.table[speed.table["group"] == "machine"]
    machine = machine["name", "threads", "median", "low", "high", "unit"]
    for name in ("threads", "median", "low", "high"):
        machine[name] = [digits(x) if name != "threads" else int(x) for x in machine[name]]
plates.show(machine) if speed else print(timings.absent("speed"))

# %% [markdown]
# Now the division, in microseconds a galaxy, which is two views. *Reached* is the floor of the arithmetic
# divided by the measured time.


# %%
flop = dict(zip(work["encoder"], work["step"], strict=True))
values = {name: floors.values_written(model.encoder, STAMP) for name, model in models.items()}
if speed:
    times = floors.floors(speed, flop, values)
    for name in times.colnames[2:5]:
        times[name] = [digits(x) for x in times[name]]
    shares = [float(x) for x in times["reached"]]
    times["reached"] = [f"{x:.0%}" if np.isfinite(x) else "–" for x in shares]
plates.show(times) if speed else print(timings.absent("speed"))

# %% [markdown]
# **What to see.** Which of the two floors is the higher one? That is what the step would wait for if nothing
# were wasted. Then compare the encoders. The layers of the large one are wider, so that each byte that is
# fetched is multiplied with more others, and more of its time is spent in convolutions. What keeps a small
# network from its floor is probably what the floor left out: batch norm, ReLU and pooling, which multiply
# next to nothing and move everything ({ref}`ex-roofline`).
#
# What is missing to 100% is what can still be gained with this network and these numbers, if $R$ is the best
# that the machine can do. **A share above 100% says that it is not:** a convolution then runs faster than the
# matrix product that was taken for the best. The library for the one may use more of the processor than the
# library for the other, or a trick that needs fewer multiplications. Such a floor is none, and how much is
# left to gain there is not known. A limit that was measured is itself a measurement.
#
# ## The race
#
# *Stock* is what a user would otherwise run: the SimCLR pipeline of lightly {cite}`susmelj2020lightly` as its
# examples write it, with pictures that are transformed one by one in two worker processes, and numbers of
# 32 bits. *Tuned stock* is the same with all that a user can switch on without writing a pipeline of her
# own: 16 bits, another order in memory, memory that is kept (all explained below). Network, loss and
# optimiser are the same for all.
#
# All took turns in one process, round after round, so that a slow minute of the machine is a slow minute for
# everyone. *CPU/wall* is the processor time used per second of the clock: with two threads it should be
# near 2, and where it is not, somebody else used the machine. Such rounds were thrown away and counted.

# %%
if speed:
    race = speed.table[speed.table["group"] == "end to end"]
    spread = [f"{digits(row['low'])} to {digits(row['high'])}" for row in race]
    shown = Table({"pipeline": race["name"], "galaxies/s": [digits(x) for x in race["median"]]})
    shown["rounds"], shown["CPU/wall"] = spread, [digits(x) for x in race["cpu_per_wall"]]
    shown["thrown away"] = race["rejected"].astype(int)
plates.show(shown) if speed else print(timings.absent("speed"))

# %% [markdown]
# The *ratio* of two pipelines is known better than either rate, if it is taken within each round: the same
# idea as the paired differences of {ref}`ch-probes`. (So it is not quite the quotient of two medians.) Here
# are all ratios, with what was aimed at. Where no pipeline is named before the stroke, it is ours, in `bf16`
# unless said otherwise. *kornia*, *LightlyTrain* and *torchvision v2* are other libraries for augmentation,
# *data access* is the reading of stamps from the file, and *loop overhead* what our program adds to a step by
# itself.

# %%
ratios = reports.ratios_table(speed) if speed else None
plates.show(ratios) if speed else print(timings.absent("speed"))

# %% [markdown]
# kornia was measured twice. Its list has random changes of the hue, as stock has, and these are a good part of
# its time. Ours scales each band by itself, which changes the hue as well, but costs little. Whether that is
# the same work is a matter of opinion, so here are both ways, against the one aim:

# %%
print(reports.twice(speed) if speed else timings.absent("speed"))

# %%
plate = gauges.ratios(speed) if speed else None
plate.save(run) if plate else print(timings.absent("speed"))

# %% [markdown]
# **What to see.** Above, other programs are the measure; below, the machine is. Look first at the thin
# lines: an aim that lies within one was reached in some rounds and missed in others. A bar above 1 in the
# upper part says that we are faster than something. In the lower part, a bar near 1 says that there is
# little left to gain; only where "at most" is written, short is good. Only together do they tell whether a
# factor was earned, or was given away by the other side.
#
# The augmentations compared are not identical: the stock ones are made for photographs and change the hue,
# ours are those of {ref}`ch-views`. The ratio compares two ways of making views for the same purpose.
#
# ## Where the time of a step goes
#
# Now your first guess. Each part was measured alone; here they are put together.

# %%
bars, whole = timings.budget(speed) if speed else ({}, {})
plate = gauges.anatomy(bars, whole, speed.origin) if bars else None
plate.save(run) if plate else print(timings.absent("speed"))

# %% [markdown]
# **What to see.** Compare the diamonds with the ends of the bars. Where they agree, the parts explain the
# whole, and little is hidden between them. Where they do not, something lies between the parts. In stock,
# views are packed, sent from one process to another and unpacked, and more processes than cores get in each
# other's way. How much is due to which was not measured, and the shares are those of the known parts. Which
# one would you improve next, in each pipeline?
#
# The law behind that question is Amdahl's {cite}`amdahl1967validity`. If a share $a$ of the time is made
# $f$ times faster, the whole becomes
#
# $$
# S = \frac{1}{1 - a + a/f}
# $$ (eq-amdahl)
#
# times faster, and even with $f = \infty$ not more than $1/(1-a)$. What you do not touch decides.
#
# ## Why two small gains make a large one
#
# Take the parts of *stock* and replace one at a time by ours: the augmentation, the network (with the
# channels of a pixel next to each other in memory, which torch calls `channels_last`, and with `bf16` where
# the processor has it), or both. The table says how many times as fast a step becomes.


# %%
def times_faster(augmentation, network):
    mixed = bars["stock"] | {"augmentation": bars[augmentation]["augmentation"]}
    mixed["network"] = bars[network]["network"]
    return f"{sum(bars['stock'].values()) / sum(mixed.values()):.2f}"


best = "ours bf16" if "ours bf16" in bars else "ours fp32"
if {"stock", best} <= set(bars):
    together = Table(names=["step with", "views as in stock", f"views as in {best}"], dtype="OOO")
    for network in ("stock", best):
        row = [times_faster(views, network) for views in ("stock", best)]
        together.add_row([f"network as in {network}", *row])
plates.show(together) if speed else print(timings.absent("speed"))

# %% [markdown]
# **How to read it.** The number at the top left is 1 by definition, the one at the bottom right is the gain of
# both. Multiply the other two: is the product as large as that? When the network takes most of the time,
# faster views gain little, as {eq}`eq-amdahl` says. When the network has become fast, the same views are a
# larger share of what is left (compare stock and tuned stock above). So **gains in different parts do not
# multiply as one expects: each makes the other worth more.** Who tries them one at a time and drops what
# helped little ends with neither. (Is the gain in the race larger? The table knows only the parts, and what
# lay between them went, too.)
#
# Three things make our views cheap. A whole batch is transformed by one call, so that Python is asked once and
# not for each picture. Rotation, flip, zoom and recentring are one resampling instead of four. And there is no
# worker process, so nothing is packed, sent and unpacked. A fourth thing makes everything cheap: memory
# that a batch has used is kept for the next one, not given back to the system and asked for again.
#
# ## Fewer bits: what do they cost?
#
# A number in 32 bits (`fp32`) has about seven decimal digits. In {term}`bf16` it has 16 bits, with the same
# range and only two or three digits {cite}`kalamkar2019study`. Twice as many fit through the same memory, and
# processors built for it multiply them several times faster (see GEMM above; a whole step gains less, since
# not all of it is multiplication). The sums are still made, and the weights
# still kept, in 32 bits.
#
# Whether that hurts cannot be argued, only measured. So several encoders were pretrained twice, in both
# precisions, from the same seeds, and probed on the same labels. Validation galaxies judge, since this is a
# choice, and no choice is made on test galaxies.

# %%
plate = gauges.precision(precision) if precision else None
plate.save(run) if plate else print(timings.absent("precision"))

# %%
print(precision.facts["decision"] if precision else timings.absent("precision"))

# %% [markdown]
# **What to see.** Left: is the distance between the two trainings of one seed larger than the distance between
# seeds? Rounding is a small random change of every step, and a training that is changed a little ends
# elsewhere, as it does with another seed. Right: whether the change has a *direction*. An interval that
# holds zero does not prove that there is none. It says how large it can be.
#
# The rule of the decision is written in the script, and it is a mild one: the interval of `fp32` also holds the
# luck of which galaxies were asked, and is several times as wide as those on the right. Believe the
# right-hand side.
#
# ## A larger survey
#
# Now the last guess. If seconds grow as a power of the number of galaxies, $t \propto N^p$, then in
# logarithmic axes they lie on a straight line of slope $p$.
#
# Each stage was run once at each size. *Prepare* makes a data set, of which *simulate* and *duplicates* are parts;
# *open* loads it and fits its views; *pretrain* is **one epoch** of `cnn4`, in batches of 256 galaxies; *embed* takes
# one orientation; *pca* finds 64 components, *knn* answers a thousand queries, *probe* fits a logistic one to all
# labels.

# %%
plate = gauges.growth(growth) if growth else None
plate.save(run) if plate else print(timings.absent("growth"))

# %%
exponents = reports.exponents_table(growth) if growth else None
plates.show(exponents) if growth else print(timings.absent("growth"))

# %% [markdown]
# **What to see.** With few galaxies some curves are flat: a start-up costs the same for any number. The
# exponents leave that out. A stage with $p$ near 1 takes ten times as long for ten times the galaxies, and
# nothing can do better in the long run that looks at every galaxy. (*open* and *pca* stay below: the one fits
# its normalisation to a few thousand galaxies, the other its components to ten thousand, and the rest is
# cheap.) Two would be fatal: comparing each galaxy with each is $N^2/2$ comparisons, and from a thousand to a
# million galaxies that is a factor of a million. Finding duplicates sounds like that: look at its line.
#
# (Where no interval is given, fewer than three sizes took long enough to count.) *Undecided* means that the interval
# reaches beyond 1.1, so that worse than linear is not excluded. A few sizes,
# each measured once, do not say more. An interval wider than 2 says that the times lie on no line at all. The
# probe is fitted in rounds, and how many it needs is not a matter of $N$ alone. UMAP takes other ways for other
# sizes: up to 4095 galaxies umap-learn compares all with all, above that it searches neighbours in a cheaper
# way; up to 10,000 it goes over the map 500 times, above that 200 times. So a small map can take longer than a
# larger one.
#
# Which stage needs memory of its *own* that grows with $N$? That stage decides how large a survey fits into
# the machine. *Memory* alone counts the mapped files, too: pages of the stamps that were read or written and
# are still around, which the system takes back when it needs the room. With many galaxies they are a good part
# of what is counted, also for *prepare*, which writes the file.
#
# ## On a GPU
#
# ```{include} ../book/_generated/gpu.md
# ```
#
# A GPU multiplies many hundreds of times faster than a few cores, but its memory is not faster by as much,
# and every layer has to be *started* by the processor, which takes some microseconds each. A small
# network is then bound by its memory and by its starts, and no longer by arithmetic: another machine,
# another floor ({ref}`ex-roofline`). {ref}`ch-scale` says how to use one, or several.
#
# ## Limits
#
# The times are those of one machine; the ratios carry over to similar ones, the rates do not. A floor is a
# floor for *this* network: one that needs fewer operations for the same accuracy would be a larger gain than
# all of the above, and nothing here says that `cnn4` is the best. And time is not quality. Only for `bf16` was
# it asked whether the faster training learns as well; the views are not the same as those of stock, and which of
# the two teach more about galaxies is a question for {ref}`ch-probes`.
#
# ## Exercises
#
# ```{exercise-start}
# :label: ex-poster-time
# ```
# The study that is reproduced here trained on 377,419 galaxies for 1000 epochs. How many operations is
# that with each encoder? How many days would it take on the machine of the benchmark, at the floor of the
# arithmetic, and at the measured rate?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-poster-time
# :class: dropdown
# ```

# %%
profile = project_root() / "notebooks" / "profiles" / "poster.yml"
poster = yaml.safe_load(profile.read_text())
seen = poster["n_galaxies"] * poster["epochs"]
assert (poster["n_galaxies"], poster["epochs"]) == (377_419, 1000)
for name, step in flop.items():
    print(f"{name}: {2 * step * seen:.2e} FLOP")
for row in floors.floors(speed, flop, values) if speed else ():
    days = [row[column] * 1e-6 * seen / 86_400 for column in ("arithmetic", "measured")]
    said = f"floor {digits(days[0])} days, the step alone {digits(days[1])} days"
    print(f"{row['encoder']}, {row['numbers']}: {said}")

# %% [markdown]
# Each galaxy of each epoch is two views, and each view costs the operations of a step. Hold the two encoders
# against each other, and against your patience: this is what GPUs are for. A step that is faster than its
# floor is no miracle: its $R$ was not the best, as said above. (Views and data add to the step:
# see the diamonds above. The last batch of an epoch, which is not full, is left out; that changes nothing
# here.)
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-amdahl
# ```
# Suppose that a colleague makes the augmentation free of charge. How much faster does a step of each pipeline
# become? And if, instead, the network were free? Check the formula {eq}`eq-amdahl` against a sum of the
# parts.
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-amdahl
# :class: dropdown
# ```

# %%
for name, parts in bars.items():
    total = sum(parts.values())
    for part in ("augmentation", "network"):
        gain = floors.amdahl(parts[part] / total, np.inf)
        assert np.isclose(gain, total / (total - parts[part]))
        print(f"{name}: with a free {part} {gain:.2f} times as fast")
if not bars:
    print(timings.absent("speed"))

# %% [markdown]
# The better a part has become, the less there is to gain from it: in our pipeline a perfect augmentation
# would gain little, so nobody should spend a week on it. What remains there is the network. In stock the
# network is worth more than the augmentation; once it is tuned, the augmentation is worth nearly as much. (A
# sum of parts knows nothing of what lies between them.)
# ```{solution-end}
# ```
#
# ```{exercise-start}
# :label: ex-roofline
# ```
# Divide, for each layer of `cnn4`, the operations by the bytes of what goes in and comes out in `bf16`, for a
# batch of 512 views (the weights are then read once for all of them). This is its *intensity*. The *balance*
# of a machine is $R/W$, its operations per byte. Which layers hang on the memory on the machine of the
# benchmark? Which would on a machine whose
# balance is ten times, and twenty times as high, as on a GPU?
# ```{exercise-end}
# ```
#
# ```{solution-start} ex-roofline
# :class: dropdown
# ```

# %%
flowing = cnn4["values_in"] + cnn4["values_out"] + cnn4["weights"] / 512
intensity = np.asarray(cnn4["flop"] / (2 * flowing))
table = Table({"layer": cnn4["layer"], "FLOP a byte": [digits(x) for x in intensity]})
balance = floors.balance(speed) if speed else np.nan
print(f"balance {balance:.1f} FLOP a byte" if balance > 0 else "balance not measured: assume 10")
balance = balance if balance > 0 else 10.0
for factor in (1, 10, 20):
    bound = np.where(intensity < factor * balance, "memory", "arithmetic")
    table[f"balance x {factor}"] = bound
plates.show(table)

# %% [markdown]
# Convolutions multiply each value with many weights, the more, the wider the layer. Batch norm, ReLU and
# pooling do about one operation for each value that they move: they hang on the memory everywhere, which is why
# libraries try to do them in passing, while a convolution has the value at hand. (The caches of a processor,
# small memories close to the arithmetic, soften this: what was just written need not come from the memory.)
# With the balance of a GPU the first convolutions hang on the memory as well. There `cnn4` is no longer a question of arithmetic, and counting
# its operations says little about its time.
# ```{solution-end}
# ```
#
# ## Take-away
#
# - Compute the floor first: operations over rate, bytes over bandwidth. It says how fast is fast.
# - Measure ratios side by side, round by round, with CPU/wall; believe no time taken next to other work.
# - What you do not touch decides (Amdahl), so gains belong together.
# - Fewer bits are a question for a paired experiment over seeds.
# - Watch the exponent. It matters more than any factor when the survey grows.
#
# Next: {ref}`ch-scale`.

# %% tags=["hide-cell"]
found = {"flop_a_view": flop, "milliseconds": bars, "milliseconds_together": whole}
measured = {"speed": speed, "growth": growth, "precision": precision, "gpu": gpu}
found["origin"] = {name: b.origin for name, b in measured.items() if b}
found["ratios"] = speed.facts["ratios"] if speed else []
found["exponents"] = growth.facts["exponents"] if growth else {}
_ = write_metrics(run, "10_speed", found, seed)
