"""Checkpoints of a training run: written completely or not at all, in safetensors only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crystext.errors import CrystextError, RunError, describe_error
from crystext.runtime.files import current_folder, replace_folder
from crystext.runtime.run_folder import rename_keys

Tensors = dict[str, torch.Tensor]

_GROUPS_OF_0_1 = {"average": "ema"}
_STATE_OF_0_1 = {"least": "best_loss", "since": "evaluations_since_best"}


def save_checkpoint(folder: Path, tensors: dict[str, Tensors], state: dict[str, Any]) -> None:
    """Replace the checkpoint in `folder`; a kill at any moment leaves the old or the new one.

    Args:
        folder: path of the checkpoint; see `runtime.files.replace_folder`.
        tensors: groups of tensors, one file each.
        state: values for JSON.

    Raises:
        RunError: the disk is full, or writing fails otherwise; the earlier checkpoint is intact.
    """
    try:
        with replace_folder(folder) as partial:
            for group, content in tensors.items():
                save_file(
                    {name: t.contiguous() for name, t in content.items()},
                    partial / f"{group}.safetensors",
                )
            (partial / "state.json").write_text(json.dumps(state), encoding="utf-8")
    except (SafetensorError, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else _system_message(error)
        before = ". The earlier checkpoint is intact" if folder.exists() else ""
        raise RunError(
            f"the checkpoint cannot be written to {folder}: {reason or error}; free some space, or "
            f"give another --out, and run the same command again{before}"
        ) from error


def _system_message(error: SafetensorError) -> str:
    """Return the message of the system, without the wrapping of safetensors."""
    return re.sub(
        r"^Error while serializing: (I/O error: )?|\(os error \d+\)$", "", str(error)
    ).strip()


def load_checkpoint(folder: Path) -> tuple[dict[str, Tensors], dict[str, Any]] | None:
    """Return the tensors and the state of the last complete checkpoint, or None if there is none.

    Raises:
        RunError: the checkpoint is damaged.
    """
    there = current_folder(folder)
    if there is None:
        return None
    with checkpoint_errors(there):
        state = json.loads((there / "state.json").read_text(encoding="utf-8"))
        if not isinstance(state, dict):
            raise TypeError("state.json is not a JSON object")
        groups = {p.stem: load_file(p) for p in sorted(there.glob("*.safetensors"))}
        return rename_keys(groups, _GROUPS_OF_0_1), rename_keys(state, _STATE_OF_0_1)


@contextmanager
def checkpoint_errors(folder: Path) -> Iterator[None]:
    """Report errors in loading a checkpoint as a damaged checkpoint.

    Raises:
        RunError: the checkpoint lacks something, or has values of another kind.
    """
    try:
        yield
    except (CrystextError, torch.OutOfMemoryError):
        raise
    # Missing or invalid values raise errors at their first use.
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
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        i, _, name = key.partition(".")
        state.setdefault(int(i), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )
