"""Generate crystals with the shipped model, write them as CIF files and draw them side by side.

python examples/02_sample.py [FOLDER]
"""

import sys
from pathlib import Path

import crystext
from crystext.properties import reduced_formula
from crystext.sampling.attempt import DrawSettings
from crystext.sampling.campaign import Campaign
from crystext.sampling.run import read_attempts, sample
from crystext.view import draw_crystals
from crystext.write import write_crystals


def main(folder: Path) -> None:
    campaign = Campaign(n=12, model="shipped", settings=DrawSettings(seed=1), batch_size=12)
    sample(campaign, folder / "run")
    crystals = [
        crystext.decode(attempt["text"]).crystal for attempt in read_attempts(folder / "run")
    ]
    names = [reduced_formula(crystal) for crystal in crystals]
    print(", ".join(names))
    write_crystals(zip(names, crystals, strict=True), folder / "cifs", "cif")
    draw_crystals(crystals, folder / "crystals.png")


if __name__ == "__main__":  # Sampling starts processes, which import this file.
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "example"))
