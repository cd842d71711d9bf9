"""Tell published label catalogues by their columns.

Each catalogue has a layout: what its columns are called, and the rule its authors give for early
and late. All of them are in one table, `LAYOUTS`; a new catalogue is one more record there.

How well each is known:

* Read from rows of the published file: the columns of ``gz2``, ``gz_decals`` and ``efigi``; on the
  three rows of ``gz2`` the rule gives its own flags.
* From the authors' own description or script: columns, order and rule of ``ds18`` (README; its
  bytes agree with public code that reads it); the columns of ``gz1`` (table 2), and its rule (the
  SDSS schema: a flag is 1 if the debiased fraction is above 0.8). A public count of the 667,944
  galaxies of SDSS DR14 finds flags and rule in agreement for 87%, so the two are not the same.
  Willett et al. compare ``gz2`` with others at 0.8 of at least 20 volunteers, with ``hc11`` at 0.5
  of E + S0, and with ``na10`` at T <= 0.
* From public code that reads the files: the names of ``hc11`` (``probaE``; ``pE/S0`` on VizieR),
  ``na10`` (``TType``, ``SDSS``, ``_RA``, ``_DE``), ``gz1_flags`` (``fE``, ``fS``, ``fU``) and of
  ``ds18`` on VizieR (``PS0``, ``Pdisk``).
* From memory of the papers: 70% of at least 5 votes of ``gz_decals``; 99 as no type in ``na10``;
  the names after a ``|`` that are not named here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from galclr_utils import checks


@dataclass(frozen=True)
class Layout:
    """Say how one published catalogue is laid out, and what its authors call early and late.

    A name is compared by its letters and digits alone (``p(S0)`` is ``ps0``); where a column was
    published under several names they are separated by ``|``, and the first that is there is read.

    Attributes:
        source: the paper, and where the rule is from.
        rule: the rule's parameters and their published values.
        id, ra, dec: columns of the identifier and the position ("" where there is none).
        n_votes: column of the number of votes, or "".
        early, late: kind of votes -> column of their share, or columns to add (``a + b``); the
            kind is "" where there is one only. Without one of them it is what the other leaves.
        ttype, ttypes: column of the T-type, and the values that are one (others mean unknown).
        known_by: columns that tell this layout from the others, beside those the rule reads.
    """

    source: str
    rule: dict
    id: str
    ra: str = "ra"
    dec: str = "dec"
    n_votes: str = ""
    early: dict = field(default_factory=dict)
    late: dict = field(default_factory=dict)
    ttype: str = ""
    ttypes: tuple = (-6, 12)
    known_by: tuple = ()


T01 = "t01_smooth_or_features_a0"
LAYOUTS = {
    "gz1": Layout(
        "Galaxy Zoo 1, table 2 (Lintott et al. 2011): 80% of the debiased votes",
        {"threshold": 0.8, "votes": "debiased", "minimum_votes": 0},
        id="objid",
        n_votes="nvote",
        early={"debiased": "p_el_debiased", "raw": "p_el"},
        late={"debiased": "p_cs_debiased", "raw": "p_cs"},
    ),
    "gz1_flags": Layout(
        "Galaxy Zoo 1 on VizieR (Lintott et al. 2011, J/MNRAS/410/166): the catalogue's own flags "
        "elliptical and spiral",
        {"threshold": 1.0},
        id="objid",
        ra="_raj2000|raj2000|_ra|ra",
        dec="_dej2000|dej2000|_de|dec",
        n_votes="n",
        early={"": "fe"},
        late={"": "fs"},
        known_by=("fu",),
    ),
    "gz2": Layout(
        "Galaxy Zoo 2 (Willett et al. 2013, debiased by Hart et al. 2016): the clean samples, 80% "
        "of the debiased votes of at least 20 volunteers",
        {"threshold": 0.8, "votes": "debiased", "minimum_votes": 20},
        id="dr7objid",
        n_votes="total_classifications",
        early={
            "debiased": f"{T01}1_smooth_debiased",
            "weighted": f"{T01}1_smooth_weighted_fraction",
            "raw": f"{T01}1_smooth_fraction",
        },
        late={
            "debiased": f"{T01}2_features_or_disk_debiased",
            "weighted": f"{T01}2_features_or_disk_weighted_fraction",
            "raw": f"{T01}2_features_or_disk_fraction",
        },
    ),
    "gz_decals": Layout(
        "Galaxy Zoo DECaLS volunteers (Walmsley et al. 2022, table 2): 70% of at least 5 votes; "
        "they advise against debiased votes for single galaxies",
        {"threshold": 0.7, "votes": "raw", "minimum_votes": 5},
        id="iauname",
        n_votes="smooth-or-featured_total-votes|smooth-or-featured_total",
        early={
            "raw": "smooth-or-featured_smooth_fraction",
            "debiased": "smooth-or-featured_smooth_debiased",
        },
        late={
            "raw": "smooth-or-featured_featured-or-disk_fraction",
            "debiased": "smooth-or-featured_featured-or-disk_debiased",
        },
    ),
    "ds18": Layout(
        "T-types by deep learning (Dominguez Sanchez et al. 2018, README): T <= 0 is early",
        {"ttype_cut": 0.0},
        id="dr7objid|objid",
        ra="_raj2000|raj2000|ra",
        dec="_dej2000|dej2000|dec",
        ttype="ttype",
        known_by=("p_s0", "p_disk"),
    ),
    "na10": Layout(
        "Visual T-types (Nair & Abraham 2010, VizieR J/ApJS/186/427): S0/a (0) and before is "
        "early; 99 is no type",
        {"ttype_cut": 0.0},
        id="jid|sdss",
        ra="_raj2000|_ra|raj2000|ra",
        dec="_dej2000|_de|dej2000|dec",
        ttype="ttype|tt",
        ttypes=(-6, 10),
    ),
    "hc11": Layout(
        "Bayesian classes (Huertas-Company et al. 2011, VizieR J/A+A/525/A157): the more probable "
        "of E + S0 and Sab + Scd; the catalogue gives probabilities, the cut is that of Willett et "
        "al. 2013",
        {"threshold": 0.5},
        id="objid|dr7objid|sdss|id",
        ra="ra|_ra|_raj2000|raj2000",
        dec="dec|_de|_dej2000|dej2000",
        early={"": "probae|pe/s0|pearly"},
    ),
    "efigi": Layout(
        "EFIGI attributes (Baillard et al. 2011, v1.6.2): T < 0 is early; S0/a is 0; 11, the dwarf "
        "ellipticals, lies outside the sequence",
        {"ttype_cut": -1.0},
        id="pgcname",
        ra="",
        dec="",
        ttype="t",
        ttypes=(-6, 10),
        known_by=("t_inf", "t_sup"),
    ),
}


def needed(layout: Layout, rule: dict) -> list[str]:
    """Return the columns that a rule cannot do without, as the layout writes them."""
    kind = rule.get("votes", "")
    shares = [share[kind] for share in (layout.early, layout.late) if share]
    columns = [layout.id, *(column for share in shares for column in share.split(" + "))]
    columns += [layout.ttype] * bool(layout.ttype)
    columns += [layout.n_votes] * bool(rule.get("minimum_votes"))
    return [*columns, *layout.known_by]


def possible(layout: Layout) -> list[str]:
    """Return all columns that some rule of a layout may read, as the layout writes them.

    >>> possible(LAYOUTS["na10"])[0], len(possible(LAYOUTS["gz2"]))
    ('jid|sdss', 10)
    """
    shares = [column for share in (layout.early, layout.late) for column in share.values()]
    columns = [layout.id, layout.ra, layout.dec, layout.n_votes, layout.ttype, *layout.known_by]
    return [column for several in (*columns, *shares) for column in several.split(" + ") if column]


def recognise(path: str | Path, names: list[str], layout: str, rule: dict) -> str:
    """Return the name of the layout that has the columns a rule needs, or say what is missing.

    Args:
        path: of the file, for the message.
        names: the columns of the file.
        layout: a name in `LAYOUTS`, or ``"auto"``.
        rule: parameters that were asked for; others are as published.
    """
    checks.choice("layout", layout, ("auto", *LAYOUTS))
    lost = {}
    for name in LAYOUTS if layout == "auto" else [layout]:
        each = LAYOUTS[name]
        asked = {
            k: v for k, v in rule.items() if k in each.rule and (k != "votes" or v in each.late)
        }
        lost[name] = [c for c in needed(each, each.rule | asked) if not find(c, names)]
    fitting = [name for name in lost if not lost[name]]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} in all)" if len(names) > 12 else "")
    if fitting:
        told = f"layouts {' and '.join(fitting)} fit: name one of them"
    else:
        like = {name: sum(bool(find(c, names)) for c in possible(LAYOUTS[name])) for name in lost}
        nearest = max(lost, key=lambda name: like[name] - len(lost[name]))
        told = f"layout {nearest!r} needs {', '.join(lost[nearest])} too"
        told += f"; there are layouts {', '.join(LAYOUTS)}" if layout == "auto" else ""
    raise ValueError(f"{path}: got columns {shown}; {told}")


def find(column: str, names: list[str]) -> str:
    """Return what the file calls a column, or "".

    >>> find("probas0|ps0", ["ID", "p(S0)"])
    'p(S0)'
    """
    squashed = {_letters(name): name for name in reversed(names)}
    return next((squashed[w] for a in column.split("|") if (w := _letters(a)) in squashed), "")


def _letters(name: str) -> str:
    """Return the letters and digits of a name; a leading underscore is kept (VizieR's own _RA)."""
    return "_" * name.startswith("_") + re.sub("[^a-z0-9]", "", name.lower())
