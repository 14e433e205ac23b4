"""Inputs whose annotation describes their fields, on their way from a message, a command or the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fp_events.domain.errors import ConfigError, InputInvalid
from fp_events.domain.inputs import Mapper
from fp_events.domain.message import Message
from fp_events.domain.pipeline import Pipeline

#: From what came in to what the annotation says; raises InputInvalid.
Validators = Mapping[str, Callable[[Any], Any]]

_NOTHING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpacked:
    """What message hooks made of a message."""

    #: As it was decoded.
    original: Any
    #: What map and topics of results see.
    payload: Any
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: Over `run.config`.
    config: Mapping[str, Any] = field(default_factory=dict)


def validated(inputs: Mapping[str, Any], validators: Validators) -> Mapping[str, Any]:
    """`inputs`, those of them that have a validator as their annotations say; raises InputInvalid."""
    if not validators:
        return inputs
    return {name: validators[name](value) if name in validators else value for name, value in inputs.items()}


def validating(mapper: Mapper, base: Mapping[str, Any], validators: Validators) -> Mapper:
    """`mapper` with validation of what does not come from `base`, which is validated already."""
    checks = tuple(validators.items())

    def inputs(payload: Any, message: Message, captures: Mapping[str, str]) -> dict[str, Any]:
        found = mapper(payload, message, captures)
        for name, validate in checks:
            value = found.get(name, _NOTHING)
            if value is not _NOTHING and value is not base.get(name, _NOTHING):
                found[name] = validate(value)
        return found

    return inputs


def validated_settings(pipeline: Pipeline, given: Mapping[str, Any], validators: Validators) -> dict[str, Any]:
    """Values of `run.inputs` and `params`, as annotations say; raises ConfigError, which names the setting."""
    found = {}
    for name in given.keys() & validators.keys():
        try:
            found[name] = validators[name](given[name])
        except InputInvalid as error:
            block = "run.inputs" if name in pipeline.inputs else "params"
            raise ConfigError(
                f"`{block}`: {error.where}: {error.what}",
                where=pipeline.where_of(f"{block}.{name}"),
                mend="change the value, or the annotation",
            ) from None
    return found
