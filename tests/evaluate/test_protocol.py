"""Protocols: those that ship, and what a user gets wrong."""

import pytest
import yaml

from crystext.errors import SettingError
from crystext.evaluate.protocol import load_protocol, protocol_names
from crystext.evaluate.reference_sets import reference_set_names
from crystext.metrics.coverage import COVERAGE_CUTOFFS

MINIMAL = {
    "name": "own",
    "title": "our own",
    "validity": {"source": "us", "min_distance": 0.5, "min_volume": 0.1},
}


@pytest.fixture
def written(tmp_path):
    def write(**changes):
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump(MINIMAL | changes))
        return path

    return write


def test_the_protocols_of_the_benchmarks_ship():
    assert set(protocol_names()) == {"mp20", "perov5", "carbon24", "gruver2024", "csp-mp20"}


@pytest.mark.parametrize("name", ["mp20", "perov5", "carbon24", "gruver2024"])
def test_a_shipped_protocol_names_known_sets_and_published_cutoffs(name):
    protocol = load_protocol(name)
    assert protocol.name == name
    assert {protocol.reference.source, protocol.training.source} <= set(reference_set_names())
    assert protocol.training.split == "train"
    # A set that ships is one split, and says which by its name.
    assert (protocol.reference.split or protocol.reference.source) in ("test", "mp20_test")
    assert protocol.coverage.cutoffs == COVERAGE_CUTOFFS[{"gruver2024": "mp20"}.get(name, name)]


@pytest.mark.parametrize("name", protocol_names())
def test_every_shipped_protocol_measures_the_geometry(name):
    geometry = load_protocol(name).stages["geometry"]
    assert 0.75 in geometry.contact_limits
    # The triple bond of two carbon atoms, 1.20 Å, is no close contact.
    assert name != "carbon24" or max(geometry.contact_limits) < 1.20 / (2 * 0.76)


def test_a_part_that_is_left_out_is_not_measured(written):
    assert load_protocol(written()).stages.keys() == {"validity"}


def test_a_wrong_name_gets_a_hint():
    with pytest.raises(SettingError, match="Did you mean 'mp20'"):
        load_protocol("mp-20")


def test_all_faults_are_told_at_once(written):
    wrong = {"source": "us", "min_distance": -1, "min_volume": 0.1, "table": "smact15"}
    path = written(validity=wrong, coverag={}, ipt={"source": "", "crystals": 5})
    with pytest.raises(SettingError) as told:
        load_protocol(path)
    message = str(told.value)
    for part in ("validity.min_distance", "ipt.source", "Did you mean 'coverage'"):
        assert part in message
    with pytest.raises(SettingError, match="Did you mean 'smact14'"):
        load_protocol(written(validity=wrong | {"min_distance": 0.5}))


def test_thresholds_without_a_source_are_refused(written):
    with pytest.raises(SettingError, match=r"coverage\.source: is missing"):
        load_protocol(written(coverage={"structure": 0.4, "composition": 10}))


@pytest.mark.parametrize("text", ["- a\n- b\n", "a: [", "!!python/object/apply:os.getcwd []", ""])
def test_what_is_no_protocol_is_refused_and_runs_nothing(tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=r"bad\.yaml is not"):
        load_protocol(path)


def test_a_file_beside_the_protocol_is_found_from_anywhere(written, tmp_path, monkeypatch):
    (tmp_path / "known.csv").write_text("cif\n")
    path = written(reference={"title": "known", "source": "known.csv"})
    monkeypatch.chdir("/")
    assert load_protocol(path).reference.source == str(tmp_path / "known.csv")
