"""Finds the weights of M3GNet in a folder, in a cache, or on the Hub.

The caches are those of huggingface_hub and matgl. The Hub is queried once, for at most 5 seconds,
and never if HF_HUB_OFFLINE is set; matgl is not imported here.

What goes wrong otherwise: matgl.load_model, without a network, spends a minute and a half on
retries, six times for the weights and again for a list of similar names.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from crystext.errors import ModelError
from crystext.runtime.hub import HUB_NAME_PATTERN, connection_errors, hub_errors_explained

M3GNET = "M3GNet-MP-2021.2.8-PES"
"""Name of the potential."""

REPOSITORY = f"materialyze/{M3GNET}"
"""Repository of matgl's authors on the Hub."""

FILES = ("model.json", "model.pt", "state.pt")
"""Files of a potential in matgl; it reads tensors from them and runs no code."""

HUB_SECONDS = 5.0
"""Time limit for the Hub."""

_Value = TypeVar("_Value")


def is_complete(folder: Path) -> bool:
    """Return whether a folder has all files of a potential."""
    return all((folder / name).is_file() for name in FILES)


def cached_weights(repository: str = REPOSITORY) -> Path | None:
    """Return the cached folder of the weights, or None; uses no network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.constants import HF_HUB_CACHE

    matgl = Path.home() / ".cache" / "matgl"
    for cache in (Path(HF_HUB_CACHE), matgl):
        found = try_to_load_from_cache(repository, FILES[0], cache_dir=cache)
        if isinstance(found, str) and is_complete(Path(found).parent):
            return Path(found).parent
    # Older versions of matgl use a folder with the model's name.
    folder = matgl / repository.rpartition("/")[2]
    return folder if is_complete(folder) else None


def fetch_weights(repository: str = REPOSITORY) -> Path:
    """Return the folder of the weights, downloaded to huggingface_hub's cache.

    Args:
        repository: OWNER/NAME on the Hub.

    Raises:
        ModelError: the Hub does not answer within `HUB_SECONDS`, is disabled, or has no such
            repository.
    """
    from huggingface_hub import constants, errors, get_hf_file_metadata, hf_hub_download, hf_hub_url

    if constants.HF_HUB_OFFLINE:
        raise ModelError("the Hub is disabled by HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE")
    with hub_errors_explained(repository, "read"):
        try:
            url = hf_hub_url(repository, FILES[0])
            # Metadata is requested once; a download retries for half a minute.
            _with_timeout(HUB_SECONDS, lambda: get_hf_file_metadata(url, timeout=HUB_SECONDS))
            paths = [Path(hf_hub_download(repository, name)) for name in FILES]
        except TimeoutError:
            raise ModelError(f"the Hub does not answer within {HUB_SECONDS:g} seconds") from None
        except errors.LocalEntryNotFoundError:
            raise
        except errors.EntryNotFoundError:
            raise ModelError(
                f"{repository} on the Hub is not a matgl potential; expected {', '.join(FILES)}"
            ) from None
        except connection_errors() as error:
            if isinstance(error, errors.HfHubHTTPError):
                raise
            raise ModelError("the Hub cannot be reached") from None
        except OSError as error:
            if error.strerror is None or isinstance(error, ConnectionError):
                raise
            raise ModelError(
                "the weights cannot be written to huggingface_hub's cache, the folder hub in "
                f"HF_HOME: {error.strerror}"
            ) from None
    return paths[0].parent


def find_weights(source: str | Path) -> Path:
    """Return the folder of the weights.

    Args:
        source: a folder, `M3GNET` or OWNER/NAME on the Hub.

    Raises:
        ModelError: there are none; the message says what to do.
    """
    folder = Path(source)
    if folder.is_dir():
        if is_complete(folder):
            return folder
        missing = ", ".join(name for name in FILES if not (folder / name).is_file())
        raise ModelError(
            f"the folder {folder} is not a matgl potential: it lacks {missing}; expected "
            f"{', '.join(FILES)}"
        )
    named = HUB_NAME_PATTERN.fullmatch(str(source)) is not None
    repository = str(source) if named else REPOSITORY
    cached = cached_weights(repository)
    if cached is not None:
        return cached
    try:
        return fetch_weights(repository)
    except ModelError as error:
        what = f"no folder {source}, and none" if named else f"no {M3GNET}"
        raise ModelError(
            f"{what} in the caches of huggingface_hub and matgl; {error}. Either take CHGNet, "
            "which needs no network: --potential chgnet. Or, on a machine with a network, run "
            f"`hf download {repository} --local-dir M3GNET_FOLDER`, copy the folder here, and give "
            "--potential M3GNET_FOLDER"
        ) from None


def _with_timeout(seconds: float, function: Callable[[], _Value]) -> _Value:
    """Return the result of a function, within a time limit.

    The time limits of an HTTP library do not cover name resolution.

    Raises:
        TimeoutError: it takes longer.
    """
    answers: list[_Value] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(function())
        except Exception as error:
            errors.append(error)

    # A daemon thread, so that the program can exit before it ends.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise TimeoutError
    return answers[0]
