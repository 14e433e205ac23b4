"""The keys of ``run.cache``: FlowerPower's `true`, `false` and `recompute`, and what belongs to them here."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

from fp_events.domain.caching import DEFAULT_FOLDER, DEFAULT_MAX_BYTES, CacheSpec

from .keys import Block, setting
from .kinds import FLAG, SIZE, Kind, duration, expected, secret
from .values import typed

_SHORTEST: Final = 0.001
#: One mebibyte: room for some values.
_SMALLEST: Final = 1024**2


def _names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(typed(item), str) for item in value):
        expected("a list of nodes", value)
    return tuple(str(item) for item in value)


def _names_or_all(value: object) -> tuple[str, ...] | bool:
    found = typed(value)
    if isinstance(found, bool):
        return found or ()
    if not isinstance(value, list | tuple):
        expected("a list of nodes, or true for all", value)
    return _names(value)


def _size(value: object) -> int:
    size: Any = SIZE.read(value)
    if size < _SMALLEST:
        expected("a size of at least 1MiB", value)
    return int(size)


def _url(text: str) -> None:
    if not text.strip():
        raise ValueError("expected a folder, or a URL such as s3://bucket/cache")


_NODES: Final = Kind("list of nodes", _names, str)
_NODES_OR_ALL: Final = Kind("list of nodes, or true", _names_or_all, str)


class CacheChoice(Block):
    """What runs do differently from their pipeline's `run.cache`; a bare `true` or `false` is `enabled`."""

    shorthand = "enabled"
    implied: ClassVar = {"enabled": True}

    enabled: Annotated[bool, FLAG] | None = setting(
        None,
        "`true`: values of all nodes are kept; `false`: of none, not even of those with `@cached`. "
        "A block that does not say means `true`.",
        shown="of nodes with `@cached`",
    )
    recompute: Annotated[Any, _NODES_OR_ALL] = setting(
        (), "Nodes that are always computed, and whose value is kept for others; `true`: all.", shown="none"
    )
    only: Annotated[Any, _NODES] | None = setting(
        None, "Keep the values of these alone, beside those with `@cached`.", shown="all nodes"
    )
    disable: Annotated[Any, _NODES_OR_ALL] = setting(
        (), "Nodes whose values are neither kept nor taken; `true`: all.", shown="none"
    )
    ttl: Annotated[float, duration(_SHORTEST)] | None = setting(
        None, "How long a value is good, where `@cached` does not say.", shown="until the code changes"
    )

    def asked(self) -> dict[str, Any]:
        """As `CacheSpec.over` takes it, in JSON's types; empty where nothing was said."""
        found = {name: getattr(self, name) for name in sorted(self.model_fields_set)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


class CacheSettings(CacheChoice):
    """Values of nodes that are kept from run to run; a bare `true` or `false` is `enabled`."""

    url: Annotated[str, secret(_url)] = setting(
        DEFAULT_FOLDER,
        "Where values are kept: a folder, relative to the project's, or any fsspec URL (`memory://`, `s3://`, …).",
        secret=True,
    )
    max_bytes: Annotated[int, Kind("size", _size, SIZE.write)] = setting(
        DEFAULT_MAX_BYTES, "Size of what is at `url` above which the values that were used longest ago go."
    )

    def spec(self) -> CacheSpec:
        """As the domain has it."""
        recompute = self.recompute if self.recompute is True else tuple(self.recompute)
        return CacheSpec(
            enabled=False if self.disable is True else self.enabled,
            only=None if self.only is None else tuple(self.only),
            recompute=recompute,
            disable=() if self.disable is True else tuple(self.disable),
            ttl=self.ttl,
            url=self.url,
            max_bytes=self.max_bytes,
        )
