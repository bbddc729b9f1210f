"""Uploads a model or an adapter to the Hugging Face Hub, with a model card."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from crystext.errors import ModelError
from crystext.models.layout import (
    BASE_SUBFOLDER,
    SHIPPED,
    ModelDescription,
    base_folder,
    model_folder,
    read_description,
)
from crystext.runtime.hub import HUB_NAME_PATTERN, hub_errors_explained
from crystext.tasks.prompts import load_prompts

_UPLOADED_SUFFIXES = {".json", ".safetensors", ".txt", ".yaml", ".jinja", ".model", ".md"}


def push_model(source: str | Path, name: str, *, private: bool = False) -> str:
    """Upload a model folder to the Hub, as one commit, and return its address there.

    A README.md in the folder is uploaded unchanged; otherwise a model card is generated.

    Args:
        source: a model's or an adapter's folder, or `shipped`.
        name: OWNER/NAME; a missing repository is created.
        private: whether a new repository is visible to its owner only.

    Raises:
        ModelError: the folder is incomplete, its base is only on this machine, there is no token,
            or the Hub refuses or cannot be reached.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if not HUB_NAME_PATTERN.fullmatch(name):
        raise ModelError(f"{name!r} is not a name on the Hub; expected OWNER/NAME")
    folder = model_folder(source)
    about = read_description(folder)
    _check_base_is_public(folder, about)
    if get_token() is None:
        raise ModelError(
            f"{name} cannot be written: there is no token; log in with `hf auth login`, or set "
            "HF_TOKEN (a token that may write)"
        )
    files: dict[str, str | bytes] = {
        path.relative_to(folder).as_posix(): str(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _UPLOADED_SUFFIXES
    }
    files.setdefault("README.md", model_card(folder, name).encode())
    if about.base is not None:
        files["adapter_config.json"] = _portable_adapter_config(folder, about)
    operations = [CommitOperationAdd(place, content) for place, content in files.items()]
    api = HfApi()
    with hub_errors_explained(name, "write"):
        # None leaves the choice to the owner's settings.
        api.create_repo(name, private=True if private else None, exist_ok=True)
        api.create_commit(name, operations, commit_message="A model that writes crystals")
    return f"{api.endpoint}/{name}"


def model_card(folder: Path, name: str) -> str:
    """Return a README.md for a model: format, base, tasks, and how to sample from it.

    Args:
        folder: the model's. A recipe.yaml in it, or in its training run, names the tasks.
        name: OWNER/NAME on the Hub.
    """
    about = read_description(folder)
    prompts = load_prompts(folder / "prompts")
    head: dict[str, object] = {
        "library_name": "transformers" if about.base is None else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["crystal-structure", "materials-science", "crystext"],
    }
    base = "none: all weights are here"
    if about.base is not None:
        held = f"held in {_PRECISION_NAMES[about.base.quantize]} while the adapter was trained"
        base = f"`{about.base.source}`, {held}"
        if about.base.source == SHIPPED:
            base = f"the model that comes with crystext, {held}"
        elif about.base.source == BASE_SUBFOLDER:
            base = f"in the folder `{BASE_SUBFOLDER}` here, {held}"
        else:
            head["base_model"] = about.base.source
    tasks = _read_tasks(folder)
    learned = ", ".join(f"{task} ({weight:g})" for task, weight in tasks.items())
    return "\n".join(
        [
            "---",
            yaml.safe_dump(head, sort_keys=False).strip(),
            "---",
            "",
            f"# {name}",
            "",
            "A language model that writes inorganic crystals as text: cell lengths, cell angles, "
            "then each atom's element and fractional coordinates.",
            "",
            f"- Text format: `{about.format.name}`",
            f"- Base: {base}",
            *([f"- Tasks, with their weights in training: {learned}"] if tasks else []),
            f"- Prompts for: {', '.join(sorted(prompts.templates))} (in `prompts/`)",
            f"- Properties that the prompts can ask for: {', '.join(prompts.conditions)}",
            "",
            "## Use",
            "",
            "```sh",
            "pip install crystext",
            f"crystext sample --model {name} --n 100 --out run --to cif",
            "```",
            "",
            "```python",
            "import crystext",
            "",
            f'model = crystext.load_model("{name}")',
            "```",
            "",
        ]
    )


_PRECISION_NAMES = {"none": "full precision", "nf4": "4 bits (NF4)"}


def _read_tasks(folder: Path) -> dict[str, float]:
    # A training run keeps its recipe beside the folder `model`.
    beside = [folder.absolute().parent] if folder.name == "model" else []
    for place in (folder, *beside):
        try:
            recipe = yaml.safe_load((place / "recipe.yaml").read_text(encoding="utf-8"))
            return {str(task): float(weight) for task, weight in recipe["tasks"].items() if weight}
        except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError):
            continue
    return {}


def _check_base_is_public(folder: Path, description: ModelDescription) -> None:
    if description.base is None or description.base.source in (SHIPPED, BASE_SUBFOLDER):
        return
    base_folder(description.base.source, folder)
    if Path(description.base.source).is_absolute():
        raise ModelError(
            f"the base of the adapter in {folder} is {description.base.source}, which is only on "
            "this machine; merge it first (crystext merge), or push the base and write its name on "
            f"the Hub into {folder / 'crystext.json'}"
        )


def _portable_adapter_config(folder: Path, description: ModelDescription) -> bytes:
    """Return adapter_config.json without a path on this machine."""
    config = json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))
    assert description.base is not None
    named = description.base.source not in (SHIPPED, BASE_SUBFOLDER)
    config["base_model_name_or_path"] = description.base.source if named else None
    return (json.dumps(config, indent=2) + "\n").encode()
