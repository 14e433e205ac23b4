"""Inputs whose annotation describes fields: what pydantic cannot read, and settings that do not fit."""

from __future__ import annotations

from collections.abc import Iterator

from fp_events.domain.errors import InputInvalid, Problem
from fp_events.domain.pipeline import Pipeline

from .building import type_name
from .selection import Selection
from .typed import typed_inputs, validators_of


def check_typed(pipeline: Pipeline, selection: Selection) -> Iterator[Problem]:
    """Compare annotations with what pydantic makes of them and with `run.inputs` and `params`."""
    validators = validators_of(selection)
    for name, hint in typed_inputs(selection).items():
        if name in pipeline.resources:
            continue
        if name not in validators:
            takers = selection.needed_by(name)
            yield Problem(
                what=f"input '{name}' is taken as {type_name(hint)}, which pydantic cannot read: it is not validated",
                where=selection.graph.where(takers[0]) if takers else selection.graph.file,
                mend="give each of its fields a type of data",
                warning=True,
            )
            continue
        for block, values in (("run.inputs", pipeline.inputs), ("params", pipeline.params)):
            if name in values:
                try:
                    validators[name](values[name])
                except InputInvalid as error:
                    what = f"`{block}`: {error.where}: {error.what}"
                    where = pipeline.where_of(f"{block}.{name}") or selection.graph.file
                    yield Problem(what=what, where=where, mend="change the value, or the annotation")
