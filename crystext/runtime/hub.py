"""Models on the Hugging Face Hub: download one, and explain why one is unavailable."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from crystext.errors import ModelError, describe_error

HUB_NAME_PATTERN = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
"""OWNER/NAME."""

_ALLOW_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.yaml", "*.jinja", "tokenizer.model"]
"""Files to download: no code, and no pickled weights."""
_IGNORE_PATTERNS = ["original/*", "onnx/*", "consolidated*", "runs/*"]
"""Further copies of the weights, in formats that are not supported."""


def download_model(name: str) -> Path:
    """Return the folder of a model in the Hub's cache, downloading missing files.

    Args:
        name: OWNER/NAME.

    Raises:
        ModelError: the model does not exist, needs a token, or the Hub cannot be reached.
    """
    from huggingface_hub import snapshot_download

    with hub_errors_explained(name, "read"):
        return Path(
            snapshot_download(
                name, allow_patterns=_ALLOW_PATTERNS, ignore_patterns=_IGNORE_PATTERNS
            )
        )


def connection_errors() -> tuple[type[Exception], ...]:
    """Return the connection errors of the HTTP library that huggingface_hub uses.

    Before version 1 that is requests, whose errors have one base class; since then it is another
    library, whose base class huggingface_hub imports.
    """
    from huggingface_hub import errors
    from requests import RequestException

    return (errors.HTTPError, RequestException)  # type: ignore[attr-defined]


@contextmanager
def hub_errors_explained(name: str, action: str) -> Iterator[None]:
    """Turn errors of the Hub into messages that say what to do.

    Args:
        name: the repository.
        action: `read` or `write`.
    """
    from huggingface_hub import errors

    unreachable: tuple[type[Exception], ...] = (*connection_errors(), ConnectionError)
    log_in = "log in with `hf auth login`, or set HF_TOKEN"
    try:
        yield
    except errors.GatedRepoError:
        raise ModelError(
            f"{name} is gated: accept its licence at https://huggingface.co/{name}, then {log_in} "
            "(a token that may read it)"
        ) from None
    except errors.RepositoryNotFoundError:
        raise ModelError(
            f"no model {name}: it is neither a folder here nor a model on the Hub that you may "
            f"{action}; check the name, or {log_in} if it is private"
        ) from None
    except (errors.LocalTokenNotFoundError, errors.HFValidationError) as error:
        reason = " ".join(str(error).split())
        raise ModelError(
            f"{name} cannot be {_PAST_PARTICIPLE[action]}: {reason}; {log_in}"
        ) from None
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise ModelError(
            f"no model {name}: it is neither a folder here nor in the Hub's cache, and the Hub "
            "cannot be reached; give a folder, or connect to the network (and unset HF_HUB_OFFLINE)"
        ) from None
    except errors.HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        remedy = f"{log_in} as someone who may {action} it" if status in (401, 403) else "try later"
        raise ModelError(
            f"{name} cannot be {_PAST_PARTICIPLE[action]}: the Hub answers {status or error}; "
            f"{remedy}"
        ) from None
    except unreachable as error:
        raise ModelError(
            f"{name} cannot be {_PAST_PARTICIPLE[action]}: the Hub cannot be reached "
            f"({describe_error(error, 'no connection')}); connect to the network and try again"
        ) from None


_PAST_PARTICIPLE = {"read": "read", "write": "written"}
