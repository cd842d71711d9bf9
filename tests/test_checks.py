import math

import pytest

from galclr_utils import checks


@pytest.mark.parametrize("value", ["0.5", 0.5, "5e-1"])
def test_number_reads_what_papermill_and_yaml_pass(value):
    assert checks.number("x", value, 0, 1) == 0.5


@pytest.mark.parametrize("value", ["half", None, True, math.nan, math.inf, -0.1, 1.1, [0.5]])
def test_number_refuses_with_the_range(value):
    with pytest.raises(ValueError, match=r"x: got .*, expected a number in \[0, 1\]"):
        checks.number("x", value, 0, 1)


def test_whole_numbers_stay_whole():
    assert checks.number("epochs", "3", 1, 10, integer=True) == 3
    with pytest.raises(ValueError, match="expected a whole number"):
        checks.number("epochs", 2.5, 1, 10, integer=True)


def test_numbers_names_the_place():
    with pytest.raises(ValueError, match=r"n_labels\[1\]: got -3"):
        checks.numbers("n_labels", [1, -3], 0, 10)
    with pytest.raises(ValueError, match="empty"):
        checks.numbers("n_labels", [], 0, 10)


def test_flag_reads_truthy_strings_as_they_are_meant():
    assert checks.flag("resume", "False") is False
    with pytest.raises(ValueError, match="expected true or false"):
        checks.flag("resume", "no")


def test_choice_suggests_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'simulated'"):
        checks.choice("source", "simulate", ["simulated", "arrays"])


@pytest.mark.parametrize("value", [9007199254740993, "9007199254740993"])
def test_a_whole_number_keeps_its_last_digit(value):
    assert checks.number("seed", value, 0, 2**63, integer=True) == 9007199254740993
    assert checks.number("seed", "1e3", 0, 2**63, integer=True) == 1000


@pytest.mark.parametrize("integer", [True, False])
def test_an_enormous_number_is_out_of_range(integer):
    with pytest.raises(ValueError, match=r"seed: got 1000.*, expected a .*number in \[0, 10\]"):
        checks.number("seed", 10**400, 0, 10, integer=integer)


def test_a_list_that_came_as_text_is_explained():
    with pytest.raises(ValueError, match=r"\(papermill: -y 'n_labels: \[100, 1000\]'\)"):
        checks.numbers("n_labels", "[100, 500]", 0, 1e6, integer=True)
