"""Get galaxies from SDSS, from the question to the stamps, in one command that can be stopped.

    python -m galclr_utils.acquire --folder data/sdss --galaxies 2000 --region 180 200 0 5

It asks for the sample, says what the pictures will take before it asks for any of them, downloads
what is not there yet, compares cut-outs with frames, cuts, and lists what failed. Given again, with
--folder alone, it goes on after whatever stopped it.

NOT RUN AGAINST THE LIVE SERVICES: tested against a local server that stands in for them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from astropy.table import Table

from galclr_utils import checks, query, sdss, sky, unitcheck
from galclr_utils.order import (
    DEFAULTS,
    complete,
    count_missing,
    picture_options,
    read_list,
    write_facts,
)
from galclr_utils.provenance import project_root, whole_file

STOPPED = 130  # what a shell expects after Ctrl-C
SHOWN, LONGEST = 10, 100  # failures that are printed, letters of each; failures.csv has all
STAMP_BYTES = 12  # of a pixel in three bands, float32


class _Declined(Exception):
    """The user said no."""


def main(words: list[str] | None = None) -> int:
    """Run the command.

    Args:
        words: of the command line.
    Returns:
        0: there are stamps; 1: something is missing, and was told; 2: not agreed to; 130: Ctrl-C.
    """
    options = _parser().parse_args(words)
    folder = project_root() / options.folder.expanduser()
    go_on = f"python -m galclr_utils.acquire --folder {options.folder}"
    try:
        return _acquire(options, folder)
    except KeyboardInterrupt:
        print(f"\nStopped. Nothing is lost: what has come is in {folder}. Go on with\n    {go_on}")
        return STOPPED
    except _Declined as answer:
        print(f"{answer} Nothing was downloaded.")
        return 2
    except (ValueError, OSError, RuntimeError) as error:  # of requests too
        print(f"\n{error}\n\nWhat has come is kept. Go on with\n    {go_on}", file=sys.stderr)
        return 1


def _acquire(options: argparse.Namespace, folder: Path) -> int:
    """Do one thing after the other; return the exit status."""
    told = sky.read_facts(folder)
    if told.get("simulated"):
        raise ValueError(f"{folder}: holds a SIMULATED sky: choose another folder for the real one")
    given = {name: value for name, value in vars(options).items() if value is not None}
    asked = complete(given, told.get("asked", {}))
    way = checks.choice("way", asked["way"], sdss.WAYS)
    polite = {"rate_hz": options.rate, "timeout_s": options.timeout, "backoff_s": options.backoff}
    if options.check_units:
        return _check_units(folder, asked, polite)
    told = write_facts(folder, told, asked)
    sample = get_sample(folder, asked, options)
    pictures = picture_options(asked)
    state_plan(sample, folder, way, options.rate, pictures, asked["size_px"])
    if options.plan:
        return 0
    if missing := count_missing(sample, folder / way, way, pictures):
        _agree(options.yes, f"Download {missing} files?")
    failures = sdss.download(
        sample,
        way,
        folder / way,
        workers=options.workers,
        retry_failed=options.retry_failed,
        **polite,
        **pictures,
    )
    if len(failures):
        print(f"\n{len(failures)} files could not be had (again with --retry-failed). The first:")
        _show(failures["key", "reason"])
    status = 0
    if way == "cutouts" and not told.get("units_checked") and not options.no_check:
        status = _check_units(folder, asked, polite)
    return status or cut(folder, options)


def get_sample(folder: Path, asked: dict, options: argparse.Namespace) -> Table:
    """Write ``sample.fits``, from a list or from SkyServer, and return it."""
    if asked["list"]:
        sample = query.thin(read_list(project_root() / asked["list"]), asked["galaxies"])
        with whole_file(folder / sky.SAMPLE) as part:
            sample.write(part)
        return sky.read_sample(folder)
    if asked["region"] is None and not (folder / sky.SAMPLE).exists():
        print(
            "Without --region the whole survey is asked for its catalogue: our estimate is half a"
        )
        print("million rows, some hundred megabytes and an hour, before galaxies are chosen.")
        _agree(options.yes, "Ask for all of it?")
    names = ("galaxies", "region", "where", "z_min", "z_max", "mag_r_max", "page_z")
    return query.sample(
        folder,
        data_release=asked["release"],
        base_url=asked["skyserver"],
        rate_hz=min(options.rate, 0.5) if asked["skyserver"] == query.SKYSERVER else options.rate,
        **{name: asked[name] for name in names},
    )


def state_plan(
    sample: Table, folder: Path, way: str, rate_hz: float, pictures: dict, size_px: int
) -> None:
    """Print what the pictures of a sample take: files, room, time."""
    plan = sdss.plan(sample, way, folder, rate_hz=rate_hz, **pictures)
    plan["stamps_gigabytes"] = [len(sample) * size_px**2 * STAMP_BYTES / 1e9]
    plan["stamps_gigabytes"].info.format = ".3g"
    print(
        f"\n{sample.meta.get('FOUND', len(sample))} galaxies were found, {len(sample)} are taken."
    )
    _show(plan)
    print(f"hours: at {rate_hz:g} requests a second; a slow service takes longer.")
    if way == "frames":
        fields = plan["files"][0] // 3
        print(
            f"These galaxies lie in {fields} fields, {len(sample) / fields:.1f} to a field. A "
            "field is 10 MB, whatever it holds; a galaxy's cut-outs (--way cutouts) are 0.06 MB."
        )
    else:
        size = 3 * unitcheck.N_GALAXIES * sdss.FRAME_BYTES / 1e6
        print(f"To know their unit, a few frames are downloaded beside them: {size:.0f} MB.")


def cut(folder: Path, options: argparse.Namespace) -> int:
    """Cut all galaxies, print what failed and what to do next; return the exit status."""
    source = sky.sdss(folder, units_checked=options.trust_units, workers=options.workers_cut)
    left_out = source.facts["left_out"]
    print(f"\n{source.n} galaxies of {source.facts['sample']} have a stamp: {source.name}.")
    if left_out:
        for what, n in left_out.items():
            print(f"  {n} left out: {what}")
        print(f"They are listed in {folder / sky.FAILURES}. The first:")
        failures = Table.read(folder / sky.FAILURES, format="ascii.csv", converters={"id": str})
        _show(failures["id", "reason"])
    print(f"unit: {source.facts['unit']}")
    if options.trust_units:
        print("Say it in chapter 1, too: units nanomaggy.")
    print("\nNext: python book/build.py --profile sdss")
    print(f"(or, in chapter 1: source sdss, source_path {options.folder})")
    return 0


def _check_units(folder: Path, asked: dict, polite: dict) -> int:
    """Compare cut-outs with frames and print the result; return the exit status."""
    found = unitcheck.check_units(folder, base_url=asked["frames_url"], **polite)
    names = [name for name in unitcheck.MEASURED if name in found]
    print(f"\nCut-outs beside frames, {found.get('galaxies', 0)} galaxies:")
    if names:
        rows = [[name, *found[name]] for name in names]
        _show(Table(rows=rows, names=("measured", *"gri")))
    if not found["checked"]:
        print(f"The unit of the cut-outs stays unknown: {found['reason']}.")
        print("They are not used as they are. --way frames gets nanomaggies.")
        return 1
    factors = [f"{factor:g}" for factor in found["factor"]]
    one = set(factors) == {"1"}
    print("They are nanomaggies" + ("." if one else f" once multiplied by {', '.join(factors)}."))
    return 0


def _agree(yes: bool, question: str) -> None:
    """Ask on a terminal; raise `_Declined` unless the answer is yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise _Declined("Nobody is there to ask: give --yes to agree beforehand.")
    if input(f"{question} [y/N] ").strip().lower() not in ("y", "yes"):
        raise _Declined("Very well.")


def _show(table: Table) -> None:
    """Print the first rows of a table, long words cut."""
    table = table[:SHOWN].copy()
    for name in table.colnames:
        if table[name].dtype.kind in "UO":
            cut = [text[:LONGEST] + "..." * (len(text) > LONGEST) for text in map(str, table[name])]
            table[name] = cut
    print("\n".join(table.pformat(max_width=-1, max_lines=-1)))


def _parser() -> argparse.ArgumentParser:
    """Return what the command line understands."""
    parser = argparse.ArgumentParser(
        prog="python -m galclr_utils.acquire",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add, default = parser.add_argument, "(default: %s, or as before in this folder)"
    add("--folder", type=Path, default=Path("data/sdss"), help="of the downloads (%(default)s)")
    add("--galaxies", type=int, help=f"how many, 0: all {default}" % DEFAULTS["galaxies"])
    add(
        "--way", choices=sdss.WAYS, help=f"one file a galaxy, or whole fields {default}" % "cutouts"
    )
    box = ("RA_FROM", "RA_TO", "DEC_FROM", "DEC_TO")
    add(
        "--region", type=float, nargs=4, metavar=box, help="part of the sky, degrees (default: all)"
    )
    add("--list", metavar="FILE", help="take these objects: ra, dec; for frames run, camcol, field")
    add("--where", help="one more condition in SQL, see skyserver.sample_sql")
    for name, help_ in {
        "z-min": "redshift",
        "z-max": "redshift",
        "mag-r-max": "faint limit",
    }.items():
        add(f"--{name}", type=float, help=f"{help_} {default}" % DEFAULTS[name.replace("-", "_")])
    add("--page-z", type=float, help="width of a page of the query in redshift")
    add("--release", type=int, help=f"data release {default}" % DEFAULTS["release"])
    add("--size-px", type=int, help=f"of a stamp {default}" % DEFAULTS["size_px"])
    add("--plan", action="store_true", help="ask for the sample, state the plan, and stop")
    add("--yes", action="store_true", help="do not ask before the download")
    add("--retry-failed", action="store_true", help="ask again for what failed before")
    add("--check-units", action="store_true", help="only compare the cut-outs with frames")
    add("--no-check", action="store_true", help="do not compare cut-outs with frames")
    add("--trust-units", action="store_true", help="you know that the cut-outs are nanomaggies")
    add("--rate", type=float, default=2.0, help="requests a second (%(default)s)")
    add("--workers", type=int, default=2, help="files on their way at a time (%(default)s)")
    add("--workers-cut", type=int, default=1, help="processes that cut (%(default)s)")
    add("--timeout", type=float, default=60.0, help="seconds of silence allowed (%(default)s)")
    add("--backoff", type=float, default=1.0, help="first pause before a repeat, s (%(default)s)")
    for name in ("skyserver", "frames-url", "cutouts-url"):
        add(f"--{name}", help="a mirror of the service")
    return parser


if __name__ == "__main__":
    sys.exit(main())
