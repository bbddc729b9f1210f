"""Protocols: what an evaluation measures, with which thresholds, against which sets.

A protocol is a YAML file, one of those shipped or a user's own. It has a part for each stage that
it measures, under the stage's name; the schema of a part is the stage's own (`stages.base`). Each
part with a threshold names its source.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from crystext.errors import SettingError, UserCodeError, describe_error, did_you_mean
from crystext.evaluate.reference_sets import ReferenceSetSpec
from crystext.evaluate.stages.base import StageSettings
from crystext.evaluate.stages.registry import STAGES
from crystext.runtime.schema import StrictModel, setting_faults
from crystext.runtime.shipped_files import shipped_path


class Protocol(StrictModel):
    """An evaluation's sets, and the settings of its stages; a missing part is not measured.

    The settings are additional fields, added by `parse_protocol`.
    """

    name: str
    title: str
    reference: ReferenceSetSpec | None = None
    training: ReferenceSetSpec | None = None

    @property
    def stages(self) -> dict[str, StageSettings]:
        """The settings of the stages that are measured, in the order of the registry."""
        parts = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: part for name, part in parts.items() if isinstance(part, StageSettings)}


def protocol_names() -> tuple[str, ...]:
    """Return the names of the shipped protocols."""
    return tuple(sorted(path.stem for path in _protocol_folder().glob("*.yaml")))


def load_protocol(source: str | Path) -> Protocol:
    """Return a protocol.

    Args:
        source: the name of a shipped one, or the path of a YAML file.

    Raises:
        SettingError: it does not exist, or is not a protocol; the message lists all errors.
        UserCodeError: it names a stage of a plugin that cannot be imported.
    """
    names = protocol_names()
    path = _protocol_folder() / f"{source}.yaml" if source in names else Path(source)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        if path.exists():
            raise SettingError(
                f"the protocol {path} cannot be read: {describe_error(error, 'it is not text')}"
            ) from None
        raise SettingError(
            f"no protocol or file {str(source)!r}; the shipped protocols are "
            f"{', '.join(names)}." + did_you_mean(str(source), names)
        ) from None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise SettingError(
            f"{path} is not a protocol: expected a mapping with name, title and validity; start "
            f"from a shipped one ({_protocol_folder() / names[0]}.yaml)"
            if names
            else f"{path} is not a protocol"
        )
    protocol = parse_protocol(found, str(path))
    return protocol.model_copy(
        update={
            key: _resolve_source(spec, path.parent)
            for key in ("reference", "training")
            if (spec := getattr(protocol, key)) is not None
        }
    )


def parse_protocol(document: Mapping[str, Any], name: str = "the protocol") -> Protocol:
    """Return the protocol that a mapping describes.

    Args:
        document: the parsed YAML.
        name: name of the document, for messages.

    Raises:
        SettingError: it is not a protocol; the message lists all errors.
        UserCodeError: it names a stage of a plugin that cannot be imported.
    """
    schema = _schema(document)
    try:
        return schema.model_validate(document)
    except ValidationError as error:
        faults = "".join(f"\n  {fault}" for fault in setting_faults(error, schema, also=STAGES))
        raise SettingError(f"{name} is not a protocol:{faults}") from None


def _schema(document: Mapping[str, Any]) -> type[Protocol]:
    """Return the schema of protocols, with a part for each stage.

    Stages of plugins are imported only where the document names them, so that a broken plugin
    stops no other protocol.
    """
    parts: dict[str, Any] = {}
    for name in STAGES:
        if STAGES.from_plugin(name) and name not in document:
            continue
        stage = STAGES[name]
        if stage.name != name or name in Protocol.model_fields:
            raise UserCodeError(
                f"the stage {name!r} is a plugin whose stage is named {stage.name!r}; expected the "
                f"name of the plugin, different from {', '.join(Protocol.model_fields)}"
            )
        model = stage.settings_model
        parts[name] = (model, ...) if stage.is_mandatory else (model | None, None)
    return create_model("Protocol", __base__=Protocol, **parts)


def _protocol_folder() -> Path:
    return shipped_path("evaluation", "protocols")


def _resolve_source(spec: ReferenceSetSpec, folder: Path) -> ReferenceSetSpec:
    """Return a set with an absolute path, if the path exists."""
    path = folder / spec.source
    return spec.model_copy(update={"source": str(path)}) if path.exists() else spec
