"""Crystals per second through the codec, on one core, beside the published route.

    python -m evaluation.speed.codec_speed mp20_val.parquet --out codec_speed.json

Measured in turns in one process, by its processor time, so that a busy machine slows all alike and
little; the best turn counts:

- augmented text and token ids from loaded crystals: translate, permute, encode, tokenize;
- the same without the tokenizer;
- decoding, and decoding up to the pymatgen structure;
- the published route to an augmented text: parse the CIF with pymatgen, translate, format.
"""

from __future__ import annotations

import argparse
import os

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["OMP_NUM_THREADS"] = "1"

import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from crystext.structures.augment import permute_within_species, translate
from crystext.structures.crystal import Crystal
from crystext.tasks.prompts import load_prompts
from crystext.text import decode, encode
from crystext.tokenization.crystal_vocabulary import build_tokenizer
from evaluation.result_file import Report, write_result
from evaluation.sources import crystal_of_p1_cif


def published_route(cif: str, rng: np.random.Generator) -> str:
    """Come from a CIF to an augmented text as the published training code does at every access."""
    from pymatgen.core.structure import Structure

    structure = Structure.from_str(cif, fmt="cif")
    structure.translate_sites(range(len(structure)), rng.random(3), to_unit_cell=True)
    lines = [
        " ".join(f"{x:.1f}" for x in structure.lattice.abc),
        " ".join(str(int(x)) for x in structure.lattice.angles),
    ]
    for site in structure:
        lines += [site.specie.symbol, " ".join(f"{x:.2f}" for x in site.frac_coords)]
    return "\n".join(lines)


def measure(options: argparse.Namespace) -> Report:
    """Measure, and print rates and ratios."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

    import pyarrow.parquet as pq

    warnings.simplefilter("ignore")
    cifs: list[str] = pq.read_table(options.data, columns=["cif"])["cif"].to_pylist()
    cifs = cifs[:: max(1, len(cifs) // options.crystals)][: options.crystals]
    crystals = [crystal_of_p1_cif(cif).in_text_order() for cif in cifs]
    texts = [encode(crystal) for crystal in crystals]
    tokenizer = build_tokenizer(load_prompts().phrases())
    rng = np.random.default_rng(0)

    def augmented(crystal: Crystal) -> str:
        return encode(permute_within_species(translate(crystal, rng), rng))

    few = cifs[: max(1, len(cifs) // 15)]
    measured: dict[str, tuple[int, Callable[[], object]]] = {
        "augmented text and token ids": (
            len(crystals),
            lambda: [tokenizer(augmented(x), add_special_tokens=False) for x in crystals],
        ),
        "augmented text": (len(crystals), lambda: [augmented(x) for x in crystals]),
        "decoding": (len(texts), lambda: [decode(x).crystal for x in texts]),
        "decoding to a pymatgen structure": (
            len(few),
            lambda: [decode(x).structure for x in texts[: len(few)]],
        ),
        "published route to augmented text": (
            len(few),
            lambda: [published_route(x, rng) for x in few],
        ),
    }
    best = dict.fromkeys(measured, 0.0)
    for turn in range(options.turns):
        for name, (count, work) in measured.items():
            started = time.process_time()
            work()
            best[name] = max(best[name], count / (time.process_time() - started))
        print(f"turn {turn + 1} of {options.turns}", file=sys.stderr)

    published = best["published route to augmented text"]
    atoms = float(np.mean([len(x) for x in crystals]))
    print(f"{len(crystals)} crystals of {atoms:.1f} atoms on average, one core")
    for name, rate in best.items():
        print(f"{name:36} {rate:9.0f} / s  {rate / published:7.1f} times the published route")
    return {
        "crystals": len(crystals),
        "mean_atoms": atoms,
        "crystals_per_second": {name: round(rate) for name, rate in best.items()},
        "ratio_to_published_route": {
            name: round(rate / published, 1) for name, rate in best.items()
        },
    }


def main(arguments: Sequence[str]) -> int:
    """Run from the command line; return the exit status."""
    parser = argparse.ArgumentParser(description="Crystals per second through the codec.")
    parser.add_argument("data", type=Path, help="Parquet file with a column cif, P1 CIFs")
    parser.add_argument("--crystals", type=int, default=3000)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    return write_result(
        options.out,
        lambda: measure(options),
        script=__file__,
        arguments=arguments,
        data=[options.data],
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
