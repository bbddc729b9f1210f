"""Sample crystals with the shipped model, write them as CIF files and draw them side by side.

python examples/02_sample.py [FOLDER]
"""

import sys
from pathlib import Path

from crystext import CrystalLM, draw_crystals

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "example")

samples = CrystalLM.load().sample(12, seed=1)
print(", ".join(sample.formula for sample in samples if sample.formula))
samples.save(folder / "cifs", to="cif")
draw_crystals(samples.crystals, folder / "crystals.png")
