"""`crystext predict` as a user runs it, with the predictor that ships."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from crystext.io.write.cif_text import cif
from crystext.text import WYCKOFF, encode
from tests.chat_models import write_chat_model
from tests.chat_server import serving
from tests.conftest import Run
from tests.example_crystals import EXAMPLE_CRYSTALS, NACL

Refuses = Callable[..., str]

NUMBERS = ["formation_energy_ev_per_atom", "e_above_hull_ev_per_atom", "band_gap_ev",
           "density_g_per_cm3"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four samples, of which the second is invalid."""
    out = tmp_path_factory.mktemp("run")
    texts = [encode(EXAMPLE_CRYSTALS[name], WYCKOFF) for name in ("nacl", "srtio3", "quartz")]
    texts.insert(1, "225\nNa 4a")
    lines = [
        json.dumps({"index": i, "text": text, "failure": "TRUNCATED" if i == 1 else None})
        for i, text in enumerate(texts)
    ]
    (out / "attempts.jsonl").write_text("\n".join([*lines, ""]))
    (out / "settings.json").write_text(json.dumps({"format": "wyckoff"}))
    return out


def test_a_formula_a_file_and_a_run_in_one_table(cli: Run, run: Path, tmp_path: Path) -> None:
    salt = tmp_path / "salt.cif"
    salt.write_text(cif(NACL))
    out = tmp_path / "table.csv"
    cli("predict", "SrTiO3", str(salt), str(run), "--out", str(out))
    table = pd.read_csv(out, keep_default_na=False, na_values=[""])
    assert table["formula"].fillna("").tolist() == ["SrTiO3", "NaCl", "NaCl", "", "SrTiO3", "SiO2"]
    valid = table["problem"].isna()
    assert valid.tolist() == [True, True, True, False, True, True]
    for name in NUMBERS:
        stem = name.partition("_ev")[0].partition("_g_")[0]
        low = next(x for x in table.columns if x.startswith(f"{stem}_low90"))
        high = low.replace("low90", "high90")
        assert table.loc[valid, name].notna().all()
        assert (table.loc[valid, low] <= table.loc[valid, name] + 1e-9).all()
        assert (table.loc[valid, name] <= table.loc[valid, high] + 1e-9).all()
    assert table.loc[valid, "is_metal_probability"].between(0, 1).all()
    assert table.loc[valid, "distance_percentile"].between(0, 100).all()


def test_what_a_textbook_says_is_within_reach(cli: Run, tmp_path: Path) -> None:
    """Rock salt is an insulator of 2.2 g/cm3 with strong bonds; copper with gold is a metal."""
    (tmp_path / "salt.cif").write_text(cif(NACL))
    out = tmp_path / "table.parquet"
    cli("predict", str(tmp_path / "salt.cif"), "CuAu", "--out", str(out))
    salt, alloy = pd.read_parquet(out).to_dict("records")
    assert salt["is_metal_probability"] < 0.2 < 0.8 < alloy["is_metal_probability"]
    assert 3 < salt["band_gap_ev"] < 8
    assert alloy["band_gap_ev"] == 0
    assert salt["density_g_per_cm3"] == pytest.approx(2.2, abs=0.4)
    assert salt["formation_energy_ev_per_atom"] < -1 < alloy["formation_energy_ev_per_atom"]


def test_ranks_begin_with_the_lowest_and_failures_come_last(
    cli: Run, run: Path, tmp_path: Path
) -> None:
    out = tmp_path / "table.csv"
    ended = cli("predict", str(run), "--rank-by", "formation_energy", "--out", str(out), "--top",
                  "1", "--property", "formation_energy")  # fmt: skip
    table = pd.read_csv(out)
    assert table["rank"].tolist() == [1, 2, 3, 4]
    energies = table["formation_energy_ev_per_atom"].tolist()
    assert energies[:3] == sorted(energies[:3])
    assert "TRUNCATED" in str(table["problem"].iloc[-1]) or "ends" in str(table["problem"].iloc[-1])
    assert "1 record without a prediction" in ended.stdout
    assert "3 further records" in ended.stdout


def test_a_table_of_formulas_keeps_its_bad_rows(cli: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "list.csv", tmp_path / "out.csv"
    source.write_text("formula\nSrTiO3\nXyz\n\nFe0.9Ni0.1\n")
    cli("predict", str(source), "--out", str(out), "--property", "band_gap")
    table = pd.read_csv(out)
    assert table["band_gap_ev"].notna().tolist() in (
        [True, False, True],
        [True, False, False, True],
    )


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat_model(tmp_path_factory.mktemp("chat") / "model")


def test_any_language_model_is_asked_in_words(
    cli: Run, run: Path, chat_model: Path, tmp_path: Path
) -> None:
    """Answers that are no numbers are problems of their records; no interval is claimed."""
    out = tmp_path / "table.csv"
    asked = ("predict", "SrTiO3", "MgO", "GaAs", "CsCl", str(run), "--model", f"chat:{chat_model}",
             "--property", "band_gap", "--property", "is_metal", "--temperature", "1",
             "--max-new-tokens", "12", "--out", str(out), "--rank-by", "band_gap")  # fmt: skip
    ended = cli(*asked)
    assert ended.returncode == 0, ended.stderr
    assert "a chat model gives values without intervals" in ended.stderr
    table = pd.read_csv(out)
    assert table["rank"].tolist() == list(range(1, 9))
    values = table["band_gap_ev"].dropna().tolist()
    assert values
    assert values == sorted(values)
    unreadable = table["band_gap_ev"].isna()
    assert table.loc[unreadable, "problem"].notna().all()
    assert "is_metal: neither yes nor no" in " ".join(table["problem"].dropna())
    assert table["band_gap_low90_ev"].isna().all()
    # The answers are there: nothing is asked again, and the table is the same.
    stored = tmp_path / "table.answers.jsonl"
    before, written = out.read_bytes(), stored.read_bytes()
    assert len(written.splitlines()) == 14
    assert cli(*asked).stdout == ended.stdout
    assert (out.read_bytes(), stored.read_bytes()) == (before, written)


def test_a_service_gives_the_predictions_of_its_model(
    cli: Run, chat_model: Path, tmp_path: Path
) -> None:
    options = ("--property", "melting point (K)", "--input", "formula", "--out")
    tables = []
    with serving(chat_model) as server:
        for name, source in (("here", chat_model), ("there", f"{server.source}#tiny")):
            out = tmp_path / f"{name}.csv"
            ended = cli("predict", "SrTiO3", "--model", f"chat:{source}", *options, str(out))
            assert ended.returncode == 0, ended.stderr
            tables.append(out.read_text())
        assert len(server.requests) == 1
    assert tables[0] == tables[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["SrTiO3", "--property", "bandgap"], "band_gap"),
        # Before anything is read or predicted.
        (["nowhere.cif", "--rank-by", "hardness"], "formation_energy"),
        (["nowhere.cif", "--property", "hardness"], "formation_energy"),
        (["SrTiO3", "--out", "table.xlsx"], ".csv or .parquet"),
        (["missing.cif"], "no file or folder missing.cif"),
        (["srtio3"], "SrTiO3"),
        (["SrTiO3", "--model", "nowhere"], "nowhere"),
        (["SrTiO3", "--model", "chat:x"], "asked for what is named"),
        (["SrTiO3", "--model", "chat:x", "--property", "bandgap"], "Did you mean 'band_gap'"),
        (["SrTiO3", "--model", "chat:x", "--model", "shipped"], "answers alone"),
        (["SrTiO3", "--model", "chat:x", "--views", "2"], "--views averages"),
        (["SrTiO3", "--model", "chat:http://[", "--property", "band_gap"], "address of a service"),
        (["SrTiO3", "--model", "chat:x", "--input", "cfi", "--property", "density"], "'cif'"),
        (["SrTiO3", "--model", "chat:./x", "--property", "density"], "no model folder"),
        (["SrTiO3", "--max-new-tokens", "9", "--seed", "0"], "--max-new-tokens, --seed: only"),
    ],
)
def test_bad_input_is_one_message(cli_refuses: Refuses, arguments: list[str], said: str) -> None:
    assert said in cli_refuses("predict", *arguments)
