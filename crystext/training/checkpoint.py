"""Checkpoints of a training run: all of them or nothing, and safetensors only."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crystext.errors import CrystextError, RunError, describe_error

Tensors = dict[str, torch.Tensor]


def save_checkpoint(folder: Path, tensors: dict[str, Tensors], state: dict[str, Any]) -> None:
    """Replace the checkpoint in `folder` by another; a kill at any moment leaves one of the two.

    Args:
        folder: its place; `folder.partial` and `folder.previous` beside it are used on the way.
        tensors: groups of tensors, a file each.
        state: what JSON can hold.

    Raises:
        RunError: the disk is full, or refuses otherwise; the checkpoint there was is whole.
    """
    partial = folder.with_name(folder.name + ".partial")
    previous = folder.with_name(folder.name + ".previous")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
        for group, content in tensors.items():
            save_file(
                {name: t.contiguous() for name, t in content.items()},
                partial / f"{group}.safetensors",
            )
        (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
        shutil.rmtree(previous, ignore_errors=True)
        if folder.exists():
            folder.rename(previous)
        partial.rename(folder)
    except (SafetensorError, OSError) as error:
        with suppress(OSError):
            shutil.rmtree(partial)
        reason = error.strerror if isinstance(error, OSError) else _system_message(error)
        before = ". The checkpoint before is whole" if folder.exists() else ""
        raise RunError(
            f"no checkpoint can be written to {folder}: {reason or error}; free some space, or "
            f"give another --out, and run the same command again{before}"
        ) from error
    shutil.rmtree(previous, ignore_errors=True)


_FILES_OF_OTHER_COMMANDS = {
    "store.json": "a store of crystals",
    "attempts.jsonl": "a run of crystext sample",
    "relaxed.parquet": "relaxed crystals",
    "report.json": "the report of an evaluation",
    "model.safetensors": "a model",
    "adapter_model.safetensors": "an adapter",
}
"""Files that tell that a folder is something else than a training run."""


def check_run_folder(out: Path) -> None:
    """Refuse a folder that is something else than a training run.

    Raises:
        RunError: it is a file, or another command wrote it.
    """
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; expected a folder for the run")
    for name, what in _FILES_OF_OTHER_COMMANDS.items():
        if (out / name).exists():
            raise RunError(
                f"{out} holds {what} ({name}), not a training run; give another --out, which may "
                "be a new folder"
            )


def _system_message(error: SafetensorError) -> str:
    """Return what the system said, without what safetensors says around it."""
    return re.sub(
        r"^Error while serializing: (I/O error: )?|\(os error \d+\)$", "", str(error)
    ).strip()


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensors], dict[str, Any]] | None:
    """Return the tensors and the state of the last whole checkpoint, or None if there is none.

    Raises:
        RunError: the checkpoint is damaged.
    """
    previous = folder.with_name(folder.name + ".previous")
    if not folder.exists():
        # Killed between the two renames of `save_checkpoint`: the older one is whole.
        if not previous.exists():
            return None
        folder = previous
    with checkpoint_errors(folder):
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        return {p.stem: load_file(p) for p in sorted(folder.glob("*.safetensors"))}, state


@contextmanager
def checkpoint_errors(folder: Path) -> Iterator[None]:
    """Have what goes wrong in taking up a checkpoint told as the damage to it that it is.

    Raises:
        RunError: the checkpoint lacks something, or holds something of another kind.
    """
    try:
        yield
    except (CrystextError, torch.OutOfMemoryError):
        raise
    # What is missing or of another kind is met wherever it is used first.
    except (SafetensorError, OSError, LookupError, ValueError, TypeError, RuntimeError) as error:
        reason = (
            f"{error} is missing"
            if isinstance(error, KeyError)
            else describe_error(error, "its contents are not those of a checkpoint")
        )
        raise RunError(
            f"the checkpoint in {folder} is damaged: {reason}; restore it, or give another --out"
        ) from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> Tensors:
    """Return an optimizer's state as flat tensors named `parameter.quantity`."""
    return {
        f"{i}.{name}": value.detach().clone() if torch.is_tensor(value) else torch.tensor(value)
        for i, quantities in optimizer.state_dict()["state"].items()
        for name, value in quantities.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Put back what `optimizer_tensors` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        i, _, name = key.partition(".")
        state.setdefault(int(i), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
