"""Make one model of several that were trained from one another: the weighted mean of their weights.

    python -m evaluation.shipped_model.average_checkpoints part8=0.25 part9=2 part10=1.75 \
        --out averaged

Each FOLDER=SHARE is a model folder and how much of the mean it is; shares are divided by their sum.
What is not weights (tokenizer, prompts, temperatures) is the last folder's. Parts of one training
lie so near each other that their mean is a model, often a better one than each (Wortsman et al.,
"Model soups", arXiv:2203.05482).
"""

from __future__ import annotations

import argparse
import math
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from crystext.errors import CrystextError, InputError

WEIGHTS = "model.safetensors"


def averaged(
    models: Sequence[dict[str, torch.Tensor]], shares: Sequence[float]
) -> dict[str, torch.Tensor]:
    """Return the weighted mean of each tensor, summed in float32, in the type of the last model's.

    Raises:
        InputError: the models have other tensors, or the shares no positive sum.
    """
    last, total = models[-1], math.fsum(shares)
    if not total > 0:
        raise InputError(f"the shares sum to {total:g}; expected more than 0")
    shapes = {name: x.shape for name, x in last.items()}
    for place, model in enumerate(models, 1):
        if {name: x.shape for name, x in model.items()} != shapes:
            raise InputError(
                f"model {place} has other tensors than the last one; expected models of one build"
            )
    return {
        name: sum(
            (
                model[name].float() * (share / total)
                for model, share in zip(models, shares, strict=True)
            ),
            start=torch.zeros(x.shape),
        )
        .to(x.dtype)
        .contiguous()
        for name, x in last.items()
    }


def folder_and_share(text: str) -> tuple[Path, float]:
    """Return what FOLDER=SHARE says."""
    folder, _, share = text.rpartition("=")
    try:
        return Path(folder), float(share)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r}; expected a model folder and its share, as part9=2"
        ) from None


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    """Return the weights of a model folder.

    Raises:
        InputError: there are none that can be read.
    """
    try:
        return load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise InputError(
            f"{folder / WEIGHTS} cannot be read: {error}; expected a model folder that "
            "`crystext train` has written"
        ) from error


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", type=folder_and_share, nargs="+", metavar="FOLDER=SHARE")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    given = parser.parse_args(arguments)
    folders, shares = zip(*given.parts, strict=True)
    try:
        if given.out.exists():
            raise InputError(f"{given.out} exists; give another --out")
        weights = averaged([weights_of(folder) for folder in folders], shares)
        # Under its name there is a whole model or nothing.
        partial = given.out.with_name(given.out.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(folders[-1], partial)
        save_file(weights, partial / WEIGHTS, metadata={"format": "pt"})
        partial.rename(given.out)
    except (CrystextError, OSError, SafetensorError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
