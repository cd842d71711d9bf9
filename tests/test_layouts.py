"""Published layouts told by their columns."""

import pytest

from galclr_utils.layouts import LAYOUTS, find, needed, recognise

VOTES = ["OBJID", "RA", "DEC", "NVOTE", "P_EL", "P_CS", "P_EL_DEBIASED", "P_CS_DEBIASED"]


def test_a_column_is_found_by_its_letters_and_digits():
    assert find("probas0|ps0", ["RAJ2000", "p(S0)"]) == "p(S0)"
    assert find("objid|id", ["ID", "objID"]) == "objID"  # in the order of the layout
    assert find("smooth-or-featured_smooth", ["smooth_or_featured_smooth"])
    assert find("ra", ["_RA"]) == "" and find("_ra|ra", ["RA", "_RA"]) == "_RA"
    assert find("ttype", ["t"]) == "" and find("", ["t"]) == ""


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_layout_is_known_by_what_its_rule_needs_and_no_other_is(name):
    columns = [
        column.split("|")[-1].upper() for column in needed(LAYOUTS[name], LAYOUTS[name].rule)
    ]
    assert recognise("file", columns, "auto", {}) == name
    for k in range(len(columns)):
        with pytest.raises(ValueError, match=r"file: got columns .* needs "):
            recognise("file", columns[:k] + columns[k + 1 :], name, {})


def test_the_rule_says_which_columns_are_needed():
    layout, raw = LAYOUTS["gz1"], {"votes": "raw"}
    assert needed(layout, layout.rule) == ["objid", "p_el_debiased", "p_cs_debiased"]
    assert needed(layout, layout.rule | raw) == ["objid", "p_el", "p_cs"]
    assert needed(layout, layout.rule | {"minimum_votes": 1})[-1] == "nvote"
    assert recognise("file", VOTES[:6], "auto", raw) == "gz1"
    with pytest.raises(ValueError, match="layout 'gz1' needs p_el_debiased, p_cs_debiased too"):
        recognise("file", VOTES[:6], "auto", {})


def test_an_unknown_table_is_told_what_there_is():
    with pytest.raises(
        ValueError, match=r"got columns a, b; .* there are layouts gz1, gz1_flags, gz2"
    ):
        recognise("file", ["a", "b"], "auto", {})
    many = [f"c{k}" for k in range(40)]
    with pytest.raises(ValueError, match=r"c11, \.\.\. \(40 in all\)"):
        recognise("file", many, "auto", {})
    with pytest.raises(ValueError, match="layouts gz1 and na10 fit: name one of them"):
        recognise("file", [*VOTES, "SDSS", "TType"], "auto", {})
    with pytest.raises(ValueError, match="layout: got 'gz', expected one of auto, gz1"):
        recognise("file", VOTES, "gz", {})
