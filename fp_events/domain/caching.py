"""Values of nodes that are kept from run to run: which nodes, where, and how a plan asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from .durations import parse_duration

#: In a project's folder.
DEFAULT_FOLDER: Final = ".fp-events/cache"
DEFAULT_MAX_BYTES: Final = 1024**3
#: What one run may say of its cache; where it is and how large belong to the project.
OVERRIDES: Final = ("enabled", "only", "recompute", "disable", "ttl")


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSpec:
    """`run.cache`: which nodes' values are kept."""

    #: True: all nodes; False: none; None: nodes that `@cached` marks.
    enabled: bool | None = None
    #: True takes these alone, with those that `@cached` marks; None: all.
    only: tuple[str, ...] | None = None
    #: Always computed, and stored; True: all.
    recompute: tuple[str, ...] | bool = ()
    #: Never taken from the cache and never stored.
    disable: tuple[str, ...] = ()
    #: Seconds that a value is good for where its node does not say; None: until the code changes.
    ttl: float | None = None
    #: A folder below the project's, an absolute one, or an fsspec URL; may hold credentials.
    url: str = field(default=DEFAULT_FOLDER, repr=False)
    #: What the store may hold; the values that were used longest ago go first.
    max_bytes: int = DEFAULT_MAX_BYTES

    def keeps(self, node: str) -> bool:
        """Whether `run.cache` takes a node in."""
        return self.enabled is True and (self.only is None or node in self.only) and node not in self.disable

    def allows(self, node: str) -> bool:
        """Whether a node that `@cached` marks is kept."""
        return self.enabled is not False and node not in self.disable

    def recomputes(self, node: str) -> bool:
        """Whether a node is computed in any case."""
        return self.recompute is True or (not isinstance(self.recompute, bool) and node in self.recompute)

    def over(self, asked: Any) -> CacheSpec:
        """The same as one run asked for it: true (all nodes), false, or an object that changes some of `OVERRIDES`.

        Raises ValueError with one sentence.
        """
        if isinstance(asked, bool):
            everything: dict[str, Any] = {"only": None, "recompute": (), "disable": ()} if asked else {}
            return replace(self, enabled=asked, **everything)
        if not isinstance(asked, Mapping):
            raise ValueError('cache must be true, false or an object such as {"recompute": ["lookup"]}')
        for name in asked:
            if name in ("url", "max_bytes"):
                raise ValueError(f"cache.{name} belongs to the pipeline's configuration, not to one run")
            if name not in OVERRIDES:
                raise ValueError(f"cache has no key {name!r}; it knows {', '.join(OVERRIDES)}")
        changes: dict[str, Any] = {"enabled": _flag(asked, "enabled", default=True)}
        if "only" in asked:
            changes["only"] = None if asked["only"] is None else _names("only", asked["only"])
        if "recompute" in asked:
            changes["recompute"] = asked["recompute"] is True or _names("recompute", asked["recompute"] or ())
        if "disable" in asked and asked["disable"] is True:
            changes["enabled"] = False
        elif "disable" in asked:
            changes["disable"] = _names("disable", asked["disable"] or ())
        if "ttl" in asked:
            changes["ttl"] = _ttl(asked["ttl"])
        return replace(self, **changes)


def _flag(asked: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = asked.get(name, default)
    if not isinstance(value, bool):
        raise ValueError(f"cache.{name} must be true or false")
    return value


def _names(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"cache.{key} must be a list of nodes")
    return tuple(value)


def _ttl(value: Any) -> float | None:
    try:
        seconds = None if value is None else parse_duration(value)
    except (ValueError, OverflowError):
        seconds = -1.0
    if seconds is not None and seconds <= 0:
        raise ValueError("cache.ttl must be a duration such as 10m")
    return seconds


class _Missing:
    """The cache has no such value."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        # The only one, whichever process it has been through.
        return "MISSING"


MISSING: Final = _Missing()


class NodeStore(Protocol):
    """The kept values of one pipeline's nodes. No method ever raises; what goes wrong is counted, and told once.

    May be used by several threads, and beside other processes.
    """

    def key(self, node: str, version: str, arguments: Any) -> str | None:
        """What tells values of a node apart; None for arguments that have no stable form.

        `version` stands for the node's code, `arguments` are the node's inputs by name, or what its `key` made of them.
        """

    def keyless(self, node: str, error: Exception) -> None:
        """The node's own `key` raised: its value is computed, and not kept."""

    def get(self, node: str, key: str, *, ttl: float | None, classes: Mapping[str, type]) -> Any:
        """The value, or MISSING. Older than `ttl` seconds, damaged and foreign ones are MISSING.

        `classes`, by their names: those that the node's type hint names, and that its value may be made of.
        """

    def put(self, node: str, key: str, value: Any, *, ttl: float | None, classes: Mapping[str, type]) -> None:
        """Keep a value, if it has a form that it can be read back from exactly."""
