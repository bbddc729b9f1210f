import re

import pytest

from crystext.cli.renamed import (
    OTHER_NAMES,
    RENAMED_OPTIONS,
    RENAMED_VALUES,
    with_new_names,
)
from tests.conftest import Run

EACH_OPTION = [(c, old, new) for c, names in RENAMED_OPTIONS.items() for old, new in names.items()]


@pytest.mark.parametrize(("command", "old", "new"), EACH_OPTION)
def test_an_option_works_under_its_name_of_version_0_1(command: str, old: str, new: str) -> None:
    for given, expected in (([old, "1"], [new, "1"]), ([f"{old}=1"], [f"{new}=1"])):
        arguments, notes = with_new_names([command, "x", *given])
        assert arguments == [command, "x", *expected]
        assert notes == [f"{old} is now called {new}"]


@pytest.mark.parametrize("command", RENAMED_OPTIONS)
def test_the_new_names_are_options_and_the_old_ones_are_not(cli: Run, command: str) -> None:
    shown = set(re.findall(r"--[\w-]+", cli(command, "--help").stdout))
    assert shown >= set(RENAMED_OPTIONS[command].values())
    assert not shown & set(RENAMED_OPTIONS[command])
    assert shown >= set(OTHER_NAMES.get(command, {}).values())
    assert not shown & set(OTHER_NAMES.get(command, {}))


@pytest.mark.parametrize(
    ("command", "other", "name"),
    [(command, *pair) for command, names in OTHER_NAMES.items() for pair in names.items()],
)
def test_an_option_works_under_the_name_that_others_give_it(
    command: str, other: str, name: str
) -> None:
    assert with_new_names([command, other, "x"]) == (
        [command, name, "x"],
        [f"{other} is called {name} here"],
    )
    assert with_new_names(["encode", other])[1] == []


def test_a_value_works_under_its_name_of_version_0_1() -> None:
    for command, values in RENAMED_VALUES.items():
        for (option, old), new in values.items():
            assert with_new_names([command, option, old])[0] == [command, option, new]
            assert with_new_names([command, f"{option}={old}"])[0] == [command, f"{option}={new}"]


def test_other_commands_and_what_follows_two_dashes_stay_as_they_are() -> None:
    for arguments in (["encode", "--format", "wyckoff"], ["decode", "--", "--forgiving"], []):
        assert with_new_names(arguments) == (arguments, [])


def test_the_command_line_says_what_an_option_is_now_called(cli: Run) -> None:
    ended = cli("decode", "-", "--forgiving", input="Here: 4 4 4\n90 90 90\nCs\n0 0 0\n")
    assert "--forgiving is now called --lenient" in ended.stderr
