"""Export candidates to calculations of other programs, and to files of structures.

`registry` names the targets, each of which is a file; `candidates` reads a source in its order of
priority; `cost` estimates what a calculation costs in comparison with others; `export` writes the
folder. Whatever an input set decides, such as U, moments and k-points, is decided by pymatgen.
"""

from __future__ import annotations
