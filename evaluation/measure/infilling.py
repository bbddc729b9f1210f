"""Mask an element or the cell of crystals, and see whether a model finds it.

    python -m evaluation.measure.infilling mp20_val.parquet --n 1000 --cells 500 \
        --model shipped --out infilling.json

Element: of a crystal the element of an atom drawn uniformly is masked at all its sites. Elements
are ranked by the probability of their token behind the prompt, so nothing is drawn; those that the
crystal shows elsewhere count as well. Cell: lengths and angles are masked; the first proposal of
`crystext infill --cell`, the most probable answer, and one drawn at temperature 1 are held against
the true volume. Crystals are brought into their
standard description, and prompts are those of training: half of the time a masked element's
sites keep their place, which tells how electronegative it is beside the others, and else they come
last; the two are also told apart. What is asked is drawn from the file with a seed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from crystext.chemistry.elements import SYMBOLS
from crystext.errors import InputError, ModelError
from crystext.generation.infilling.complete import Infiller
from crystext.generation.infilling.specify import InfillSpec
from crystext.inference.any_tokenizer_sampler import AnyTokenizerSampler
from crystext.inference.types import Request, SamplingSettings
from crystext.io.read.partial_structures import partial_structure_of
from crystext.models.load import LoadedModel, load_model
from crystext.structures.crystal import Crystal, cell_volume
from crystext.structures.record import Record
from crystext.structures.standardize import standardize
from crystext.tasks import TASKS
from crystext.tasks.base import Example
from crystext.tasks.element_infilling import element_prompt
from crystext.tokenization.encode import completion_ids, prompt_ids
from evaluation.result_file import Report, progress, rounded, share, write_result
from evaluation.sources import read_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

TOP = (1, 3, 5)
TOLERANCE = 0.1
"""Of a volume, as a fraction of the true one."""


def examples(
    task: str, records: Sequence[Record], model: LoadedModel, seed: int
) -> list[tuple[Crystal, Example]]:
    """Make one example of each record as training would."""
    made = []
    for i, record in enumerate(records):
        rng = np.random.default_rng([seed, i])
        crystal = standardize(record.crystal)[0].in_text_order()
        known = Record(crystal, record.labels)
        made.append((crystal, TASKS[task].make(known, model.prompts, model.format, rng)))
    return made


def element_tokens(model: LoadedModel) -> NDArray[np.int64]:
    """Return the token of each element, by atomic number less one."""
    ids = [completion_ids(model.tokenizer, symbol) for symbol in SYMBOLS]
    if any(len(i) != 1 for i in ids):
        raise ModelError(f"the vocabulary of {model.folder} has not one token for each element")
    return np.array([i[0] for i in ids])


def masked_elements(records: Sequence[Record], model: LoadedModel, seed: int) -> Report:
    """Rank the true element of each record among all elements."""
    tokens = element_tokens(model)
    ranks: list[int] = []
    chances: list[float] = []
    in_place: list[bool] = []
    report = progress("elements")
    with torch.inference_mode():
        for crystal, example in examples("infill_element", records, model, seed):
            ids = torch.tensor([prompt_ids(model.tokenizer, example.prompt)])
            logits = model.network(input_ids=ids).logits[0, -1].float()
            chance = logits.log_softmax(dim=0)[torch.from_numpy(tokens)]
            true = SYMBOLS.index(example.completion)
            ranks.append(1 + int((chance > chance[true]).sum()))
            chances.append(float(chance[true]))
            kept = element_prompt(crystal, example.completion, model.prompts, model.format)
            in_place.append(example.prompt == kept)
            report(len(ranks), len(records))
    first = max(TOP)
    places = {"kept": [r for r, kept in zip(ranks, in_place, strict=True) if kept]}
    places["last"] = [r for r, kept in zip(ranks, in_place, strict=True) if not kept]
    return {
        "shares": {
            **{
                f"true element among the first {k}": share(sum(r <= k for r in ranks), len(ranks))
                for k in TOP
            },
            **{
                f"among the first {first}, place {place}": share(
                    sum(r <= first for r in some), len(some)
                )
                for place, some in places.items()
                if some
            },
        },
        "mean_rank": rounded(float(np.mean(ranks)), 3),
        "median_rank": rounded(float(np.median(ranks)), 1),
        "mean_log_probability": rounded(float(np.mean(chances))),
    }


def proposed_cells(records: Sequence[Record], model: LoadedModel, seed: int, n: int) -> Report:
    """Have the cell of each record proposed, and compare volumes."""
    filler = Infiller(model, SamplingSettings(seed=seed))
    ratios: list[float | None] = []
    report = progress(f"cells of {n} proposals")
    for record in records:
        crystal = standardize(record.crystal)[0].in_text_order()
        proposals = filler.infill(partial_structure_of(crystal), InfillSpec(cell=True), n).results
        ratios.append(proposals[0].crystal.volume / crystal.volume if proposals else None)
        report(len(ratios), len(records))
    return {"drawn": n, **_volumes(ratios)}


def masked_cells(
    records: Sequence[Record], model: LoadedModel, seed: int, temperature: float
) -> Report:
    """Draw the cell of each record, and compare volumes."""
    settings = SamplingSettings(seed=seed, temperature=temperature, constrained=False)
    sampler = AnyTokenizerSampler(model, settings)
    ratios: list[float | None] = []
    report = progress(f"cells at temperature {temperature:g}")
    for i, (crystal, example) in enumerate(examples("infill_cell", records, model, seed)):
        (attempt,) = sampler.draw(Request(example.prompt), range(i, i + 1))
        volume = volume_of(attempt.text)
        ratios.append(None if volume is None else volume / crystal.volume)
        report(len(ratios), len(records))
    return _volumes(ratios)


def _volumes(ratios: Sequence[float | None]) -> Report:
    read = [r for r in ratios if r is not None]
    return {
        "shares": {
            "a cell": share(len(read), len(ratios)),
            "volume within 10%": share(sum(abs(r - 1) <= TOLERANCE for r in read), len(ratios)),
        },
        "median_volume_ratio": rounded(float(np.median(read))) if read else None,
    }


def volume_of(text: str) -> float | None:
    """Return the volume in Å^3 of a line of lengths and a line of angles; None for all else."""
    try:
        lengths, angles = (np.array([float(x) for x in line.split()]) for line in text.split("\n"))
    except ValueError:
        return None
    if lengths.shape != (3,) or angles.shape != (3,) or not lengths.min() > 0:
        return None
    volume = float(cell_volume(lengths, angles))
    return volume if volume > 0 else None


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, metavar="TABLE")
    parser.add_argument("--n", type=int, default=1000, help="crystals whose element is masked")
    parser.add_argument("--cells", type=int, default=500, help="crystals whose cell is masked")
    parser.add_argument("--proposals", type=int, default=20, help="cells that are drawn of each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--model", default="shipped", help="`shipped`, or a model folder")
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)

    def measured() -> Report:
        records = read_records(options.data)
        most = max(options.n, options.cells)
        if len(records) < most:
            raise InputError(f"{options.data} holds {len(records)} crystals; {most} are asked for")
        rng = np.random.default_rng(options.seed)
        chosen = [records[i] for i in rng.choice(len(records), most, replace=False)]
        model = load_model(options.model)
        model.network.eval()
        cells = chosen[: options.cells]
        return {
            "element": {
                "crystals": options.n,
                **masked_elements(chosen[: options.n], model, options.seed),
            },
            "cell": {
                "crystals": len(cells),
                "first proposal": proposed_cells(cells, model, options.seed, options.proposals),
                "most probable": masked_cells(cells, model, options.seed, 0.0),
                "drawn at temperature 1": masked_cells(cells, model, options.seed, 1.0),
            },
        }

    return write_result(
        options.out,
        measured,
        script=__file__,
        arguments=arguments,
        packages=("torch", "transformers"),
        model=options.model,
        data=[options.data],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
