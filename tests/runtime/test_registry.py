import sys
from pathlib import Path

import pytest

from crystext.errors import SettingError, UserCodeError
from crystext.runtime.registry import Registry

KIND = "testcolour"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a distribution with entry points, as pip lays it out."""
    about = tmp_path / "colours-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: colours\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        f"[crystext.{KIND}s]\n"
        "blue = colours_of_others:BLUE\nred = colours_of_others:BLUE\n"
        "broken = colours_of_others:MISSING\nodd = colours_of_others:ODD\n"
    )
    (tmp_path / "colours_of_others.py").write_text("BLUE = 0.25\nODD = [1]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield about
    sys.modules.pop("colours_of_others", None)


def colours() -> Registry[float]:
    return Registry(KIND, float, {"red": 0.5, "circle": "math:pi"})


def test_members_are_found_by_name_and_imported_when_asked_for() -> None:
    assert list(colours()) == ["red", "circle"]
    assert colours()["circle"] == pytest.approx(3.14159, abs=1e-5)


def test_an_unknown_name_is_answered_with_those_there_are() -> None:
    with pytest.raises(SettingError, match=r"no testcolour is called 'redd'.*red, circle.*'red'\?"):
        colours().find("redd")
    assert colours().get("redd") is None


@pytest.mark.usefixtures("plugin")
def test_a_plugin_adds_a_member_and_replaces_none() -> None:
    assert list(colours()) == ["red", "circle", "blue", "broken", "odd"]
    assert colours().find("blue") == 0.25
    assert colours().find("red") == 0.5
    assert len(colours()) == 5
    assert colours().from_plugin("blue")
    assert not colours().from_plugin("red")


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "message"), [("broken", "cannot be imported"), ("odd", "of the class list")]
)
def test_a_plugin_that_is_none_is_refused_by_name(name: str, message: str) -> None:
    with pytest.raises(UserCodeError, match=message):
        colours().find(name)
