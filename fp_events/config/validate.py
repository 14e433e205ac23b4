"""Layers to frozen settings, and pydantic's errors to problems with a place and a mend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import ValidationError

from fp_events.domain.errors import Problem

from .keys import Settings
from .layers import Layer, Path, path_text
from .schema import at, block_of, knowledge, tidy
from .values import describe

T = TypeVar("T", bound=Settings)


def tidied(model: type[Settings], layer: Layer) -> Layer:
    """`layer` as `merged` needs it."""
    data = tidy(layer.data, model)
    assert isinstance(data, dict)
    return layer.having(data)


def problems_in(model: type[Settings], layer: Layer) -> list[Problem]:
    """What is wrong with one tidied layer, judged alone, so that nothing wrong hides behind a higher one."""
    # Python, and so pydantic-settings, cannot pass these on as names.
    strange = [name for name in layer.data if not isinstance(name, str)]
    if strange:
        return [Problem(what=f"the key {describe(n)} must be text", where=layer.origin((n,))) for n in strange]
    try:
        merged(model, [layer])
    except ValidationError as error:
        # The input may be a secret: only `describe` decides what of it is shown.
        return [_problem(model, layer, details) for details in error.errors(include_url=False)]
    return []


def merged(model: type[T], layers: Sequence[Layer]) -> T:
    """The settings that tidied layers give together, the highest of them last."""
    arguments: Any = {"layers": layers}
    return model(**arguments)


def _problem(model: type[Settings], layer: Layer, details: Any) -> Problem:
    path: Path = tuple(part for part in details["loc"] if part != "[key]")
    where = layer.origin(path)
    if details["type"] == "extra_forbidden":
        what, mend = _unknown(model, path)
        return Problem(what=what, mend=mend, where=where)
    if details["type"] == "invalid_key":
        what = f"{path_text(path[:-1])}: the key {describe(details['input'])} must be text"
        return Problem(what=what, where=where)
    what = f"{path_text(path)}: {_reason(details, key='[key]' in details['loc'])}"
    one = details["type"] in {"tuple_type", "list_type"} and isinstance(details["input"], Mapping)
    return Problem(what=what, where=where, mend="begin each item with '- '" if one else "")


def _reason(details: Any, *, key: bool) -> str:
    value = details["input"]
    match details["type"]:
        case "refused":
            return f"as a key: {details['msg']}" if key else str(details["msg"])
        case "missing":
            return "is missing"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a block of keys, got {describe(value)}"
        case "tuple_type" | "list_type":
            return f"expected a list, got {describe(value)}"
        case _:
            return str(details["msg"])


def _unknown(model: type[Settings], path: Path) -> tuple[str, str]:
    """What to say of a key that no block declares, and how to mend it."""
    name = str(path[-1])
    block = block_of(at(model, path[:-1]))
    assert block is not None
    known = knowledge(block)
    if name in known.unavailable:
        prefix = path_text(path[:-1])
        what, _, mend = known.unavailable[name].partition("; ")
        return f"{prefix}: {what}" if prefix else what, mend
    near = get_close_matches(name.lower(), block.model_fields, n=1, cutoff=0.6)
    mend = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(block.model_fields)}"
    return f"unknown key '{path_text(path)}'", mend
