"""A text format: a CIF that lists every atom. It has no grammar."""

from crystext.errors import InputError
from crystext.io.read.cif import read_cif
from crystext.structures.crystal import Crystal
from crystext.text import Decoded, DecodeFailure, Format

CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
SITE_TAGS = ("type_symbol", "fract_x", "fract_y", "fract_z")


class P1CIFFormat(Format):
    """Lengths and angles to three decimals, coordinates to four."""

    def encode(self, crystal: Crystal) -> str:
        crystal.check()
        cell = zip(CELL_TAGS, [*crystal.lengths, *crystal.angles], strict=True)
        lines = ["data_x", *(f"_cell_{tag} {x:.3f}" for tag, x in cell), "loop_"]
        lines += [f"_atom_site_{tag}" for tag in SITE_TAGS]
        for symbol, position in zip(crystal.symbols, crystal.positions, strict=True):
            lines.append(" ".join([symbol, *(f"{x:.4f}" for x in position)]))
        return "\n".join(lines)

    def decode(self, text: str, *, strict: bool = True, exact: bool = True) -> Decoded:
        if not self.recognizes(text):
            return Decoded(None, DecodeFailure.UNREADABLE, 1, repr(text[:20]))
        try:
            return Decoded(read_cif(text).crystal)
        except InputError as error:
            return Decoded(None, DecodeFailure.UNREADABLE, 1, str(error))

    def recognizes(self, text: str) -> bool:
        return text.startswith("data_")

    def max_characters(self, max_atoms: int) -> int:
        return 300 + 40 * max_atoms


FORMAT = P1CIFFormat("p1-cif", title="a CIF that lists every atom")
