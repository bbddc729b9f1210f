"""An adapter and its base as one model, on disk."""

from __future__ import annotations

from pathlib import Path

from crystext.errors import ModelError
from crystext.models.layout import open_model
from crystext.models.load import merge_into_base, save_model
from crystext.models.network import read_tokenizer
from crystext.models.prediction_settings import read_prediction_settings


def merge_adapter(source: str | Path, out: Path) -> None:
    """Write an adapter, merged into its base, as a model folder in bfloat16.

    The result needs neither peft nor bitsandbytes, and differs from base and adapter kept separate
    only by rounding (see `merge_into_base`).

    Args:
        source: an adapter's folder, or its name on the Hub.
        out: a path that does not exist yet.

    Raises:
        ModelError: it is not an adapter, its base is not available, or `out` exists.
    """
    files = open_model(source)
    folder, about = files.path, files.description
    if about.base is None:
        raise ModelError(f"{source} is a whole model; expected the folder of an adapter")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ModelError(f"{out} exists already; give another --out")
    tokenizer = read_tokenizer(folder)
    network = merge_into_base(folder, about.base, tokenizer).bfloat16()
    save_model(
        out,
        network,
        tokenizer,
        files.prompts,
        about.format,
        temperatures=files.temperatures,
        sample_format=about.sample_format,
        prediction=read_prediction_settings(folder),
        generates=about.generates,
    )
