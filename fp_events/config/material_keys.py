"""The keys of ``io``: loaders that fill inputs, savers that take nodes' values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fp_events.domain.materials import Material

from .keys import Block, setting
from .kinds import ANYTHING, Kind, expected, refuse
from .layers import Layer, origin
from .run_keys import NAME

_LOADER = "a loader such as {csv: {path: data/rows.csv}}"
_SAVER = "a saver such as {node: daily, parquet: {path: data/daily.parquet}}"


def _adapter(value: Mapping[Any, Any], what: str) -> dict[str, Any]:
    if len(value) != 1:
        expected(what, value)
    ((name, arguments),) = value.items()
    if isinstance(arguments, str):
        # A bare word is a file.
        arguments = {"path": arguments}
    if not isinstance(arguments, Mapping):
        expected(what, value)
    for word in (name, *arguments):
        NAME.read(word)
    return {str(name): ANYTHING.read(arguments)}


def _loader(value: object) -> dict[str, Any]:
    return _adapter(value, _LOADER) if isinstance(value, Mapping) else expected(_LOADER, value)


def _saver(value: object) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        expected(_SAVER, value)
    if "node" not in value:
        refuse("it does not say which node it saves: " + _SAVER)
    rest = {name: item for name, item in value.items() if name != "node"}
    return {"node": str(NAME.read(value["node"])), **_adapter(rest, _SAVER)}


class IoSettings(Block):
    """Hamilton's materialisers; docs/io.md."""

    load: dict[Annotated[str, NAME], Annotated[Any, Kind("loader", _loader)]] = setting(
        {}, "Input to what loads it: `{csv: {path: data/rows.csv}}`.", shown="none"
    )
    save: dict[Annotated[str, NAME], Annotated[Any, Kind("saver", _saver)]] = setting(
        {},
        "A new node's name to what it saves and how: `{node: daily, parquet: {path: data/daily.parquet}}`.",
        shown="none",
    )


def materials(settings: Mapping[str, Mapping[str, Any]], block: str, layers: Sequence[Layer]) -> dict[str, Material]:
    """What the settings name, with where it was written."""
    found = {}
    for name, each in settings.items():
        ((adapter, arguments),) = ((key, value) for key, value in each.items() if key != "node")
        where = origin(layers, ("io", block, name))
        found[name] = Material(adapter=adapter, arguments=arguments, node=each.get("node", ""), where=where)
    return found
