"""Run the poster's configuration on one GPU, measure how fast it is, and what comes out.

    python benchmarks/poster.py --minutes 20 [--out DIR] [--run-dir runs/poster]

One command, one GPU. It simulates the poster's 377,419 training galaxies (validation and test come
on top) with all cores; measures what the GPU can do; trains cnn4 and resnet18 for a while in every
way there is, eagerly and with CUDA graphs, from stamps on the device and from the memory map;
profiles some steps; trains as lightly's stock pipeline does; and spends the minutes that are left
on pretraining cnn4, whose representation is probed beside PCA and random weights. ``gpu.json`` and
``gpu.csv`` (the kernels that take longest) are written after every part.

Every part runs in a process of its own: one that fails, or hangs, is recorded with its error and
costs the others nothing. Called again, it does what is missing, so several short calls do as well
as a long one. ``--quick`` runs all parts at toy size: do that first on a new machine. On a CPU it
shows that the script runs; what needs a GPU is then recorded as "not run: no GPU". Where the
project is not installed, begin the line with ``PYTHONPATH=.``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import ledger
import parts
from parts import ENCODERS, MODES, NO_GPU, PLACES, guarded, on_gpu, parameters, work_per_galaxy

TARGET_MINUTES = {"cnn4": 20, "resnet18": 180}  # of the whole run
TARGET_STOCK = 10  # times the stock pipeline
EPOCHS = 1000  # of the poster
RESERVE = 4.0  # minutes kept for embedding and probes
CSV = ("run", "kernel", "calls", "device_us", "share")


def project(rates: dict, per_epoch: int, stock: dict) -> dict:
    """Return how long the poster's 1000 epochs take at the best steady rate that was measured.

    Looks at the validation galaxies and checkpoints come on top (seconds). A rate that was not
    measured is left out.

    Args:
        rates: mode -> encoder -> place -> ``galaxies_per_s``.
        per_epoch: galaxies in the whole batches of an epoch.
        stock: encoder -> ``galaxies_per_s`` of the stock pipeline.

    >>> rates = {"eager": {"cnn4": {"device": {"galaxies_per_s": 500.0}}}}
    >>> found = project(rates, per_epoch=600, stock={"cnn4": {"galaxies_per_s": 25.0}})["cnn4"]
    >>> found["how"], found["minutes"], found["reached"], found["times_stock"]
    ('eager, device', 20.0, True, 20.0)
    """
    found = {}
    for encoder in ENCODERS:
        measured = {
            f"{mode}, {place}": result["galaxies_per_s"]
            for mode, encoders in rates.items()
            for place, result in (encoders.get(encoder) or {}).items()
            if isinstance(result, dict) and result.get("galaxies_per_s")
        }
        if not measured:
            continue
        how = max(measured, key=measured.get)
        minutes, target = EPOCHS * per_epoch / measured[how] / 60, TARGET_MINUTES[encoder]
        entry = {"epochs": EPOCHS, "galaxies_per_s": measured[how], "how": how, "minutes": minutes}
        entry |= {"target_minutes": target, "reached": minutes <= target}
        if rate := (stock.get(encoder) or {}).get("galaxies_per_s"):
            entry |= {"times_stock": measured[how] / rate, "target_times_stock": TARGET_STOCK}
        found[encoder] = entry
    return found


# --- the whole -----------------------------------------------------------------------------------


def failed(result) -> bool:
    """Tell whether a part, or something in it, has failed."""
    if not isinstance(result, dict):
        return False
    return "error" in result or any(failed(inner) for inner in result.values())


PARTS = {
    "data": (parts.part_data, ()),
    "machine": (parts.part_machine, ()),
    **{f"{mode} {e}": (parts.part_rate, (mode, e)) for e in ENCODERS for mode in MODES},
    **{f"stock {encoder}": (parts.part_stock, (encoder,)) for encoder in ENCODERS},
    "quality": (parts.part_quality, ()),
}


def run_part(name: str, run: Path, quick: bool, state: dict) -> dict:
    """Run a part in this process, and say how long it took."""
    part, arguments = PARTS[name]
    began = time.perf_counter()
    result = guarded(part, run, quick, state, *arguments)
    return result | {"part_seconds": time.perf_counter() - began}


def run_apart(name: str, run: Path, quick: bool, limit: float) -> dict:
    """Run a part in a process of its own, for at most ``limit`` seconds."""
    answer = run / "benchmark_part.json"
    answer.unlink(missing_ok=True)
    command = [sys.executable, __file__, "--part", name, "--run-dir", str(run)]
    command += ["--out", str(answer), *["--quick"] * quick]
    process = subprocess.Popen(command)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return {"error": f"stopped: it took longer than {limit:.0f} s"}
    except KeyboardInterrupt:
        process.kill()
        raise
    if answer.exists():
        return json.loads(answer.read_text())
    return {"error": f"the process ended with {code} and left no answer; its output says why"}


def result_of(state: dict, quick: bool) -> dict:
    """Lay the parts out as gpu.json, with what follows from them."""
    rates = {mode: {e: state.get(f"{mode} {e}", {}) for e in ENCODERS} for mode in MODES}
    stock = {encoder: state.get(f"stock {encoder}", {}) for encoder in ENCODERS}
    values = parameters(quick)
    n_train = state.get("data", {}).get("train", values["n_galaxies"])
    batch = min(values["batch_size"], n_train)
    projection = project(rates, n_train // batch * batch, stock)
    settings = {name: values[name] for name in ("batch_size", "learning_rate", "temperature")}
    settings |= {"n_galaxies": n_train, "epochs": EPOCHS, "image_size_px": values["image_size_px"]}
    measured = {name: state[name] for name in ("data", "machine") if name in state}
    measured |= {
        "stock": stock,
        "bytes": " ".join(work_per_galaxy.__doc__.split("\n\n")[1].split()),
    }
    skipped = {name: "not run yet" for name in PARTS if name not in state}
    found = {"device": state["device"], "measured": measured, "projection": projection}
    found |= {**without_kernels(rates), "quality": state.get("quality", {}), "settings": settings}
    found |= {"not_run": skipped, "failed": [name for name in PARTS if failed(state.get(name))]}
    return found | ledger.facts(0, quick)


def without_kernels(result):
    """Return a copy without the long lists of kernels, which go to the CSV."""
    if not isinstance(result, dict):
        return result
    return {k: without_kernels(v) for k, v in result.items() if k != "kernels"}


def kernels_of(state: dict) -> list[dict]:
    """Return the rows of gpu.csv: the kernels of every profile."""
    rows = []
    for name, result in state.items():
        for place in PLACES:
            inside = result.get(place, {}) if isinstance(result, dict) else {}
            for kernel in inside.get("profile", {}).get("kernels", []):
                rows.append({"run": f"{name}, {place}"} | kernel)
    return rows


def main(arguments: list[str] | None = None) -> int:
    """Run the parts that are missing, as long as there are minutes, and write after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20, help="for all of it (default 20)")
    parser.add_argument("--out", type=Path, default=ledger.RESULTS, help="folder of the results")
    parser.add_argument("--run-dir", type=Path, help="folder of the run (default runs/poster)")
    parser.add_argument("--quick", action="store_true", help="toy size: shows that it runs")
    parser.add_argument("--again", nargs="*", default=[], metavar="PART", help="measure anew")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    began, quick = time.perf_counter(), options.quick

    from galclr_utils.provenance import read_json, run_path, write_json

    run = run_path(options.run_dir or ("runs/poster-quick" if quick else "runs/poster"))
    state_file = run / "benchmark.json"
    if options.part:  # this is a process of `run_apart`
        result = run_part(options.part, run, quick, read_json(state_file))
        write_json(options.out, result)
        return 0
    if not on_gpu() and not quick:
        print("not run: no GPU. This is for a machine with one; --quick shows here that it runs")
        return 1
    device = gpu_name()
    key = ledger.code_key((__file__, parts.__file__), {"quick": quick, "device": device})
    state = read_json(state_file) if state_file.exists() else {}
    if state.get("key") != key:
        state = {"key": key, "device": device}
    state = {name: value for name, value in state.items() if name not in options.again}

    def keep() -> None:
        state["projection"] = result_of(state, quick)["projection"]
        write_json(state_file, state)
        write_json(options.out / "gpu.json", result_of(state, quick))
        ledger.write_rows(options.out / "gpu.csv", kernels_of(state), CSV)

    keep()
    waiting = [name for name in PARTS if name not in state]  # before what failed is tried again
    waiting += [name for name in PARTS if failed(state.get(name))]
    while waiting:
        name = waiting.pop(0)
        left = options.minutes - (time.perf_counter() - began) / 60
        if name != "data" and failed(state.get("data")):
            ledger.say(f"{name}: not run, there are no galaxies")
            continue
        if name == "quality":
            mine = left - min(RESERVE, 0.4 * options.minutes)
            if not quick and state.setdefault("quality_minutes", mine) < 0.5:
                del state["quality_minutes"]
                left = 0
        if left < 0.5 and not quick:
            ledger.say(f"{name}: no minutes are left; the same command goes on from here")
            continue
        ledger.say(f"{name} ({left:.1f} minutes left)")
        write_json(state_file, state)
        if quick and not on_gpu():  # nothing here can break a device
            state[name] = run_part(name, run, quick, state)
        else:
            limit = 60 * left + 600 if name in ("data", "quality") else 300
            state[name] = run_apart(name, run, quick, limit)
        fastest = state["projection"].get("cnn4", {}).get("how", "")
        may_be_graphs = fastest.startswith("cuda_graphs") and "graphs_failed" not in state
        if name == "quality" and failed(state[name]) and may_be_graphs:
            state["graphs_failed"] = True  # it is tried once more, without them
            waiting.append(name)
        keep()
    result = result_of(state, quick)
    for encoder, found in result["projection"].items():
        times = f", {found['times_stock']:.1f} times stock" if "times_stock" in found else ""
        ledger.say(f"{encoder}: 1000 epochs in {found['minutes']:.1f} min ({found['how']}){times}")
    for name in result["failed"]:
        ledger.say(f"{name}: failed, see gpu.json")
    return 0


def gpu_name() -> str:
    """Return the name of the GPU, or what is recorded without one."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else NO_GPU


if __name__ == "__main__":
    sys.exit(main())
