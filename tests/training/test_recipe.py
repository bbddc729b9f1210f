from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from crystext.errors import SettingError
from crystext.runtime.shipped_files import shipped_path
from crystext.training.recipe import Recipe, load_recipe

SHIPPED = sorted(path.stem for path in shipped_path("recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_recipe_is_valid_by_name_and_by_path(name: str) -> None:
    assert load_recipe(name) == load_recipe(shipped_path("recipes", f"{name}.yaml"))


def test_overrides_change_what_they_name_and_nothing_else() -> None:
    plain = load_recipe("shipped")
    recipe = load_recipe(
        "shipped",
        ["optim.steps=7", "optim.learning_rate=4e-4", "format=gruver2024", "tasks.conditional=0"],
    )
    assert recipe.optim.steps == 7
    assert recipe.optim.learning_rate == 4e-4
    assert recipe.format == "gruver2024"
    assert recipe.tasks == {**plain.tasks, "conditional": 0.0}
    assert recipe.model == plain.model
    assert recipe.data == plain.data


def test_a_string_of_data_is_the_store_and_leaves_the_rest() -> None:
    recipe = load_recipe("shipped", ["data=perov5/"])
    assert recipe.data.store == Path("perov5")
    assert recipe.data.validation_crystals == load_recipe("shipped").data.validation_crystals
    assert load_recipe("shipped", ["data={store: x}"]).data.store == Path("x")


@pytest.mark.parametrize("name", ["2019", "2019_10", "2019-10-01", "1e3", "true", "0x10"])
def test_a_folder_may_be_called_what_yaml_takes_for_a_number(name: str) -> None:
    for key in ("data", "data.store"):
        assert load_recipe("shipped", [f"{key}={name}"]).data.store == Path(name)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_recipe_opens_with_its_command_and_what_to_expect(name: str) -> None:
    text = shipped_path("recipes", f"{name}.yaml").read_text(encoding="utf-8")
    head = text[: text.index("\nseed:") if "\nseed:" in text else text.index("\ndata:")]
    assert all(line.startswith("#") for line in head.splitlines())
    for part in (f"crystext train {name} ", "Hardware:", "xpected time"):
        assert part in head


def test_a_later_override_wins() -> None:
    assert load_recipe("shipped", ["seed=1", "seed=2"]).seed == 2


def test_a_resolved_recipe_reads_back_as_itself(tmp_path: Path) -> None:
    recipe = load_recipe("shipped", ["optim.steps=9"])
    path = tmp_path / "resolved.yaml"
    path.write_text(yaml.safe_dump(recipe.model_dump(mode="json")), encoding="utf-8")
    assert load_recipe(path) == recipe


def test_all_faults_of_a_recipe_and_its_overrides_are_named_at_once() -> None:
    overrides = [
        "optim.step=5",
        "optim.learning_rate=-1",
        "model.new.layers=many",
        "model.new.haeds=2",
        "optim.shedule=cosine",
        "optim.optimizer=adam",
        "optim.epochs=3",
        "sample_checks.ipt_crystal=4",
        "trackers=[mlflow]",
        "translate_probability=2",
        "format=plane",
        "tasks.unconditionall=1",
        "precision=fp16",
        "data.store.path=x",
        "not an override",
        "seed=[",
        ".seed=1",
    ]
    with pytest.raises(SettingError) as caught:
        load_recipe("shipped", overrides)
    message = str(caught.value)
    for part in (
        "optim.step: no such setting. Did you mean 'steps'?",
        "optim.learning_rate: ",
        "(found -1)",
        "model.new.layers: ",
        "(found 'many')",
        "model.new.haeds: no such setting. Did you mean 'heads'?",
        "optim.shedule: no such setting. Did you mean 'schedule'?",
        "optim.optimizer: ",
        "sample_checks.ipt_crystal: no such setting. Did you mean 'ipt_crystals'?",
        "trackers.0: ",
        "translate_probability: ",
        "Did you mean 'plain'?",
        "Did you mean 'unconditional'?",
        "precision: ",
        "'data.store.path=x': store is a value, not a section",
        "'not an override' is not an override; expected key=value",
        "'seed=[': the value is not YAML",
        "'.seed=1' is not an override",
    ):
        assert part in message, message


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optim.learning_rate=.inf", "optim.learning_rate"),
        ("optim.learning_rate=.nan", "optim.learning_rate"),
        ("tasks.conditional=.nan", "tasks"),
        ("tasks.conditional=.inf", "tasks"),
        ("tasks.conditional=-0.1", "weight of conditional is below 0"),
        ("tasks={}", "no task has a weight above 0"),
        ("tasks={unconditional: 0}", "no task has a weight above 0"),
        ("tasks=3", "tasks: "),
        ("sample_format=plan", "sample_format is 'plan', and the tasks teach"),
        ("tasks={unconditional: 1}", "sample_format is 'wyckoff', and the tasks teach plain"),
        ("seed=-1", "seed: "),
        ("seed=1.5", "seed: "),
        ("seed=1.5", r"seed: expected a whole number \(found 1.5\)"),
        ("seed=two", r"seed: expected a whole number \(found 'two'\)"),
        ("optim.learning_rate=fast", r"expected a number \(found 'fast'\)"),
        ("optim.steps=0", r"optim.steps: expected a number above 0 \(found 0\)"),
        ("optim.ema=1", r"optim.ema: expected a number below 1 \(found 1\)"),
        ("compile=maybe", r"compile: expected true or false \(found 'maybe'\)"),
        ("precision=fp23", r"expected 'auto', 'bf16' or 'fp32'. Did you mean 'fp32'\?"),
        ("optim=3", r"optim: expected settings, such as \{name: value\} \(found 3\)"),
        ("steps=3", r"steps: no such setting. Did you mean 'optim.steps'\?"),
        ("rank=3", r"rank: no such setting"),
        ("seeds=1", r"seeds: no such setting. Did you mean 'seed'\?"),
        ("optim.ema=1", "optim.ema: "),
        ("optim=", "optim: "),
        ("data.store=", "data.store: "),
        ("optim.steps=null", "give either steps or epochs"),
        ("optim.batch_tokens=null", "give either batch_tokens or batch_sequences"),
        ("patience=0", "patience: "),
        ("seed=2020-13-45", "the value is not YAML: month must be in 1..12"),
        ("seed=0x_", "the value is not YAML: a value in it is not valid"),
        ("seed=!!bool x", "the value is not YAML"),
        ("seed=" + "[" * 3000, r"\[\.\.\.': the value is not YAML: it is nested too deeply"),
        ("seed={[1]: 2}", "the value is not YAML"),
        ("a/b=1", "a/b: no such setting"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(override: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        load_recipe("shipped", [override])


def test_an_override_takes_the_place_of_its_alternative() -> None:
    recipe = load_recipe("finetune-your-own", ["optim.steps=3", "optim.batch_tokens=512"])
    assert (recipe.optim.steps, recipe.optim.epochs) == (3, None)
    assert (recipe.optim.batch_tokens, recipe.optim.batch_sequences) == (512, None)
    recipe = load_recipe("shipped", ["optim.epochs=2"])
    assert (recipe.optim.steps, recipe.optim.epochs) == (None, 2)
    recipe = load_recipe("finetune-your-own", ["optim.steps=null"])
    assert recipe.optim.epochs == load_recipe("finetune-your-own").optim.epochs


@pytest.mark.parametrize("name", ["shipped", "finetune-your-own"])
def test_overrides_that_exclude_each_other_are_blamed_themselves(name: str) -> None:
    with pytest.raises(SettingError) as caught:
        load_recipe(name, ["optim.steps=3", "optim.epochs=2"])
    assert str(caught.value) == (
        "the overrides have faults:\n"
        "  optim.steps=3 and optim.epochs=2 exclude each other; give either steps or epochs"
    )


def test_what_is_drawn_by_default_has_to_be_learned() -> None:
    only_by_symmetry = ["tasks={wyckoff_unconditional: 1}"]
    assert load_recipe("shipped", only_by_symmetry).sample_format == "wyckoff"
    message = "sample_format is 'plain', and the tasks teach wyckoff"
    with pytest.raises(SettingError, match=message):
        load_recipe("shipped", [*only_by_symmetry, "sample_format=null"])


def test_a_missing_setting_is_named(tmp_path: Path) -> None:
    path = tmp_path / "short.yaml"
    path.write_text("translate_probability: 0.5\ntasks: {unconditional: 1}\n", encoding="utf-8")
    with pytest.raises(SettingError, match=r"(?s)data: is missing.*optim: is missing"):
        load_recipe(path)


def test_an_unknown_recipe_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SettingError, match=r"'shiped'.*Did you mean 'shipped'.*shipped ones"):
        load_recipe("shiped")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: [", "is not YAML: expected the node content, but found 'its end'"),
        (b"a: 1\nb 2\nc: 3", "is not YAML: line 3: could not find expected ':'"),
        (b"\xff\xfe\x00", "is not YAML: it is not UTF-8 text"),
        (b"", "holds no settings"),
        (b"- 1", "holds no settings"),
        (b"!!python/object/apply:os.system ['true']", "is not YAML"),
        (b"1: 2", "1"),
        (b"foo.bar: 1", "foo.bar: no such setting"),
        (b"optim: {foo.bar: 1}", "optim.foo.bar: no such setting"),
        (b"seed: 2020-13-45", "is not YAML: month must be in 1..12"),
        (b"seed: 0x_", "is not YAML: a value in it is not valid"),
        (b"[" * 3000, "is not YAML: it is nested too deeply"),
        (b"data: 2019_10", r"data.store: .*put it in quotes \(found 201910\)"),
        (b"data: {store: 2019-10-01}", r"data.store: .*put it in quotes"),
    ],
)
def test_a_file_that_is_no_recipe_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(SettingError, match=message):
        load_recipe(path)


def test_a_recipe_does_not_change_once_it_is_loaded() -> None:
    recipe = load_recipe("shipped")
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 5  # type: ignore[misc]
    assert isinstance(recipe, Recipe)


def test_no_message_shows_what_only_a_program_understands() -> None:
    wrong = [
        "seed=x",
        "optim=3",
        "model={new: {}, base: a}",
        "tasks={a: 1}",
        "data=",
        "precision=1",
    ]
    with pytest.raises(SettingError) as refused:
        load_recipe("smoke", wrong)
    message = str(refused.value)
    for internal in ("Input should", "{'", "NoneType", "dict", "instance", "unable to parse"):
        assert internal not in message, message


def test_settings_of_version_0_1_are_read_under_their_present_names(tmp_path: Path) -> None:
    text = shipped_path("recipes", "shipped.yaml").read_text(encoding="utf-8")
    old = text.replace("translate_probability:", "translate_share:")
    old = old.replace("  decay_fraction:", "  decay_share:") + "probes: {ipt_crystals: 3}\n"
    assert old.count("share:") >= 2
    path = tmp_path / "old.yaml"
    path.write_text(old, encoding="utf-8")
    overrides = ["probes.ipt_crystals=4", "optim.decay_share=0.25"]
    now = load_recipe("shipped", ["sample_checks.ipt_crystals=4", "optim.decay_fraction=0.25"])
    assert load_recipe(path, overrides) == now
    path.write_text(old + "sample_checks: {ipt_crystals: 4}\n", encoding="utf-8")
    with pytest.raises(SettingError, match="probes is the former name of sample_checks"):
        load_recipe(path)
