"""Loads crystals of the Materials Project by id, through its client, mp-api."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crystext.errors import InputError, SettingError, describe_error
from crystext.io.read.parse import Piece
from crystext.structures.property_schema import parse_labels

SOURCE_PREFIX = "mp:"
"""Prefix of a source that lists ids."""

KEY_VARIABLE = "MP_API_KEY"
"""Environment variable with the API key, which the Materials Project gives to registered users."""

_FIELDS = ("material_id", "structure", "symmetry", "formation_energy_per_atom", "band_gap",
           "energy_above_hull")  # fmt: skip

_CHUNK_SIZE = 200
"""Ids per request."""


def parse_ids(text: str) -> list[str]:
    """Return the ids of `mp:mp-149,mp-22862`, or those in the file of `mp:@ids.txt`, in order.

    Raises:
        InputError: the file cannot be read.
        SettingError: a word is not an id, or there are no ids.
    """
    listed = text.removeprefix(SOURCE_PREFIX)
    if listed.startswith("@"):
        path = Path(listed[1:])
        try:
            listed = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"the ids in {path} cannot be read: {describe_error(error, 'it is not text')}"
            ) from None
    ids = list(dict.fromkeys(word for word in re.split(r"[\s,;]+", listed) if word))
    if wrong := [word for word in ids if not re.fullmatch(r"(mp|mvc)-\w+", word)]:
        raise SettingError(
            f"{wrong[0]!r} is not an id of the Materials Project; expected ids such as mp-149, "
            "separated by commas or, in a file, by lines"
        )
    if not ids:
        raise SettingError(f"{text} names no id; expected mp:mp-149,mp-22862 or mp:@ids.txt")
    return ids


def check_client() -> None:
    """Check that the client is installed and a key is set.

    Raises:
        SettingError: one of them is missing.
    """
    try:
        import mp_api.client  # noqa: F401
    except ImportError:
        raise SettingError(
            "sources of the Materials Project need mp-api, which is not installed; "
            "try pip install 'crystext[mp]'"
        ) from None
    if not os.environ.get(KEY_VARIABLE):
        raise SettingError(
            f"the Materials Project needs a key, and {KEY_VARIABLE} is not set; get one at "
            f"https://materialsproject.org/api and export {KEY_VARIABLE}=..."
        )


def project_pieces(ids: list[str]) -> Iterator[Piece]:
    """Yield the crystals with these ids, in order; a missing id gives a piece with a problem.

    Raises:
        InputError: the server cannot be reached, or refuses the key.
        SettingError: the client or the key is missing.
    """
    check_client()
    from mp_api.client import MPRester
    from mp_api.client.core import MPRestError
    from requests.exceptions import RequestException

    try:
        with MPRester(
            os.environ[KEY_VARIABLE], use_document_model=False, mute_progress_bars=True
        ) as server:
            for start in range(0, len(ids), _CHUNK_SIZE):
                asked = ids[start : start + _CHUNK_SIZE]
                documents: Any = server.materials.summary.search(
                    material_ids=asked, fields=list(_FIELDS)
                )
                found = {str(document["material_id"]): document for document in documents}
                for id in asked:
                    yield _piece(id, found.get(id))
    except (RequestException, MPRestError, ValueError) as error:
        reason = describe_error(
            error, "it cannot be reached, or answers in a layout that is not known"
        )
        raise InputError(
            f"the Materials Project gives no answer: {reason}. Check the network and {KEY_VARIABLE}"
        ) from None


def _piece(id: str, document: Any) -> Piece:
    if document is None:
        return Piece(id, "problem", "the Materials Project has no such id", id=id)
    structure = document["structure"]
    if hasattr(structure, "as_dict"):
        structure = structure.as_dict()
    row = {**document, "spacegroup_number": (document.get("symmetry") or {}).get("number")}
    labels, unused = parse_labels(row)
    return Piece(id, "structure", structure, labels, id, unused_values=unused)
