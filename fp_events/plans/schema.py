"""What a pipeline takes, as JSON Schema (draft 2020-12): a command's inputs, and the payloads of its triggers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fp_events.domain.mapping import NO_DEFAULT, parse_path
from fp_events.domain.paths import is_index
from fp_events.domain.pipeline import Pipeline, Trigger

from .catalogue import Catalogue
from .selection import Selection
from .typed import adapter_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
#: Formats whose payloads are no JSON, as JSON Schema describes them.
_TEXTS: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "bytes": {"contentMediaType": "application/octet-stream"},
}
_PAYLOAD = "payload"
#: Items of a list that are described one by one.
_DESCRIBED = 100

Schema = dict[str, Any]


def input_schema(catalogue: Catalogue, pipeline: Pipeline) -> Schema:
    """One document. The whole of it is what a command may give as `inputs`; in ``$defs``, ``payload-0`` is what the
    first trigger's messages hold, and so on; annotations' own types are there by name.

    Raises ConfigError as `Catalogue.plan` does.
    """
    plan = catalogue.plan(pipeline)
    types = _Types(plan.selection)
    payloads = {
        f"payload-{index}": _payload(pipeline, trigger, plan.selection, types)
        for index, trigger in enumerate(pipeline.triggers)
    }
    inputs = {name: types.of(name) for name in plan.inputs if name not in pipeline.resources}
    found: Schema = {
        "$schema": _DIALECT,
        "title": pipeline.name,
        "description": f"Inputs that a command gives pipeline '{pipeline.name}', version {plan.ref.version}.",
        **_object(inputs, required=_unfilled(pipeline, plan.inputs)),
        "additionalProperties": False,
    }
    if payloads or types.definitions:
        found["$defs"] = {**payloads, **types.definitions}
    return found


def _unfilled(pipeline: Pipeline, inputs: Mapping[str, bool]) -> list[str]:
    """Required inputs that neither settings nor state nor resources give."""
    given = {*pipeline.inputs, *pipeline.params, *pipeline.state.values(), *pipeline.resources}
    return [name for name, required in inputs.items() if required and name not in given]


def _payload(pipeline: Pipeline, trigger: Trigger, selection: Selection, types: _Types) -> Schema:
    about: Schema = {"title": trigger.topic, "description": _description(pipeline, trigger)}
    if trigger.format in ("text", "bytes"):
        return {**about, **_TEXTS[trigger.format]}
    if pipeline.hooks.get("message"):
        # What hooks make of it is theirs to say.
        return about
    tree = _Tree()
    for name, text in _sources(trigger, selection).items():
        path = parse_path(text)
        if path.root == _PAYLOAD:
            tree.add(path.parts, types.of(name), needed=path.default is NO_DEFAULT and _needs(selection, name, trigger))
    if trigger.spread:
        given = {*(trigger.map or {}), *pipeline.resources}
        needed = _unfilled(pipeline, selection.inputs)
        for name in selection.inputs:
            if name not in given:
                tree.add((name,), types.of(name), needed=name in needed)
    return about | tree.schema(whole_is_object=trigger.spread)


def _sources(trigger: Trigger, selection: Selection) -> Mapping[str, str]:
    if trigger.map is not None:
        return trigger.map
    return {} if trigger.spread or _PAYLOAD not in selection.inputs else {_PAYLOAD: _PAYLOAD}


def _needs(selection: Selection, name: str, trigger: Trigger) -> bool:
    """A path of a map must lead somewhere, even where the input has a default."""
    return trigger.map is not None or selection.inputs[name]


def _description(pipeline: Pipeline, trigger: Trigger) -> str:
    form = f", as {trigger.format}" if trigger.format else ""
    unpacked = "; message hooks unpack it" if pipeline.hooks.get("message") else ""
    return f"Payload of messages on {trigger.topic}{form}{unpacked}."


class _Types:
    """Schemas of annotations; what several of them share is defined once."""

    def __init__(self, selection: Selection) -> None:
        from pydantic import TypeAdapter

        adapters = {name: _described(selection.graph.nodes[name].type) for name in selection.inputs}
        inputs = [(name, "validation", adapter) for name, adapter in adapters.items() if adapter is not None]
        found, shared = TypeAdapter.json_schemas(inputs) if inputs else ({}, {})  # type: ignore[arg-type]  # a literal
        self._found = {name: schema for (name, _), schema in found.items()}
        self.definitions: Schema = shared.get("$defs", {})

    def of(self, name: str) -> Schema:
        """Of one input; empty, which allows everything, where nothing is known."""
        return dict(self._found.get(name, {}))


def _described(hint: Any) -> Any:
    """A type adapter that JSON Schema can describe; None where there is none."""
    from pydantic.errors import PydanticInvalidForJsonSchema

    # Our own, such as Message, are no data that anybody sends.
    if getattr(hint, "__module__", "").startswith("fp_events."):
        return None
    adapter = adapter_of(hint)
    if adapter is None:
        return None
    try:
        adapter.json_schema()
    except PydanticInvalidForJsonSchema:
        return None
    return adapter


class _Tree:
    """A payload's shape, as far as paths lead into it."""

    def __init__(self) -> None:
        self._below: dict[str, _Tree] = {}
        self._schemas: list[Schema] = []
        self._needed = False

    def add(self, parts: Sequence[str], schema: Schema, *, needed: bool) -> None:
        """A path leads to a value of this schema; where it is needed, so is everything on the way."""
        self._needed |= needed
        if parts:
            self._below.setdefault(parts[0], _Tree()).add(parts[1:], schema, needed=needed)
        elif schema:
            self._schemas.append(schema)

    def schema(self, *, whole_is_object: bool = False) -> Schema:
        """All of it."""
        shapes = list(self._schemas)
        if self._below and all(is_index(part) for part in self._below):
            shapes.append(self._list())
        elif self._below or whole_is_object:
            properties = {name: tree.schema() for name, tree in self._below.items()}
            shapes.append(_object(properties, required=[name for name, tree in self._below.items() if tree._needed]))
        if len(shapes) > 1:
            return {"allOf": shapes}
        return shapes[0] if shapes else {}

    def _list(self) -> Schema:
        """Items from the end are not described: JSON Schema counts from the beginning."""
        places = {int(part): tree for part, tree in self._below.items()}
        known = [place for place in places if 0 <= place < _DESCRIBED]
        items = [places[place].schema() if place in places else {} for place in range(max(known, default=-1) + 1)]
        least = max((abs(place) + (place >= 0) for place, tree in places.items() if tree._needed), default=0)
        found: Schema = {"type": "array"}
        if items:
            found["prefixItems"] = items
        return found | ({"minItems": least} if least else {})


def _object(properties: Mapping[str, Schema], *, required: Iterable[str]) -> Schema:
    needed = list(required)
    return {"type": "object", "properties": dict(properties)} | ({"required": needed} if needed else {})
