"""Documents name commands, options, scripts and files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, ROOT, calls, parsed, shown_commands

each_document = pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT))
)


def refusal(arguments: list[str]) -> str | None:
    """Return why the command line would not understand arguments."""
    if "--help" in arguments or arguments[0].isupper():
        return None
    try:
        parsed(arguments)
    except KeyError as error:
        return f"no command {error}"
    except Exception as error:
        message = str(error)
        return None if type(error).__name__ == "MissingParameter" else message
    return None


@each_document
def test_every_command_and_option_exists(document: Path) -> None:
    for command in shown_commands(document.read_text(encoding="utf-8")):
        for arguments in filter(None, calls(command)):
            assert refusal(arguments) is None, f"{command}: {refusal(arguments)}"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["sampel", "--n", "3"], "no command"),
        (["sample", "--nn", "3"], "No such option"),
        (["view", "run", "more"], "extra argument"),
        (["sample", "--n", "some"], "valid integer"),
    ],
)
def test_a_command_that_does_not_exist_would_be_found(arguments: list[str], expected: str) -> None:
    message = refusal(arguments)
    assert message is not None
    assert expected in message


@each_document
def test_every_script_exists_and_has_the_options(document: Path) -> None:
    for command in shown_commands(document.read_text(encoding="utf-8")):
        for module, options in re.findall(r"python -m (evaluation\.[\w.]+)(.*)", command):
            script = ROOT / f"{module.replace('.', '/')}.py"
            source = script.read_text(encoding="utf-8")
            for option in re.findall(r"(?<=\s)--[\w-]+", options):
                assert f'"{option}"' in source, f"{script} has no option {option}"


@each_document
def test_every_linked_file_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://)([^)#]+)(?:#([^)]*))?\)", text)
    for link, anchor in links:
        target = document.parent / link
        assert target.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings]


@each_document
def test_every_result_that_is_cited_is_kept(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for cited in re.findall(
        r"evaluation/(?:results|reports)/[\w./*-]+\.(?:jsonl?|csv|html|md)", text
    ):
        assert list(ROOT.glob(cited)), cited
