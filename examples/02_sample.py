"""Generate crystals with the shipped model, write them as CIF files and draw them side by side.

python examples/02_sample.py [FOLDER]
"""

import sys
from pathlib import Path

import crystext
from crystext.generation.run import read_attempts, run_sampling
from crystext.generation.sampling_run import SamplingRun
from crystext.inference.types import SamplingSettings
from crystext.io.render import draw_crystals
from crystext.io.write import write_crystals
from crystext.structures.properties import reduced_formula


def main(folder: Path) -> None:
    campaign = SamplingRun(n=12, model="shipped", settings=SamplingSettings(seed=1), batch_size=12)
    run_sampling(campaign, folder / "run")
    crystals = [
        crystext.decode(attempt["text"]).crystal for attempt in read_attempts(folder / "run")
    ]
    names = [reduced_formula(crystal) for crystal in crystals]
    print(", ".join(names))
    write_crystals(zip(names, crystals, strict=True), folder / "cifs", "cif")
    draw_crystals(crystals, folder / "crystals.png")


if __name__ == "__main__":  # Sampling starts processes, which import this file.
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))
