"""Nodes whose values are kept from run to run: which they are, and the call with a cache around it.

A marked function has its cache below its condition and above its retries; an unmarked one that `run.cache` takes in
has it around the node as Hamilton made it.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from fp_events.domain.caching import MISSING, CacheSpec, NodeStore
from fp_events.domain.errors import ConfigError
from fp_events.domain.marks import SKIPPED, NodeCache, OfInputs
from fp_events.domain.pipeline import Pipeline

from .awaiting import may_await
from .building import Graph
from .classes import classes_in, classes_of_result
from .guards import all_arguments
from .hamilton_api import hamilton
from .loading import Generation, generation_of, public_text
from .selection import Selection, nearest
from .trace import note_cached
from .version import version_of_function

#: Hamilton's own mark, `@cache(behavior=…)`.
_BEHAVIOUR = "cache.behavior"
#: Its nodes write something: that they ran is the point of them.
_SAVER = "hamilton.data_saver"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one node's values are kept."""

    #: Seconds.
    ttl: float | None = None
    #: From all arguments by name to what tells two calls apart; None: the arguments.
    key: Callable[[Mapping[str, Any]], Any] | None = None
    #: Computed in any case, and kept.
    recompute: bool = False
    #: What a kept value may be made of.
    classes: Mapping[str, type]


def cached_call(call: Any, *, node: str, version: str, rule: Rule, store: NodeStore, is_async: bool) -> Any:
    """`call` with a cache around it; it takes its arguments by name.

    With `is_async`, `call` may give a coroutine, and the cache is asked in a thread: a file or a far store would hold
    up the loop.
    """

    def look(arguments: Mapping[str, Any]) -> tuple[str | None, Any]:
        if any(value is SKIPPED for value in arguments.values()):
            # Of a task that is told of what was skipped: its answer is no value of its own.
            return None, MISSING
        try:
            known = dict(sorted(arguments.items())) if rule.key is None else rule.key(arguments)
        except Exception as error:  # noqa: BLE001 (the user's function may raise anything; it fails no run)
            store.keyless(node, error)
            return None, MISSING
        key = store.key(node, version, known)
        if key is None or rule.recompute:
            return key, MISSING
        return key, store.get(node, key, ttl=rule.ttl, classes=rule.classes)

    def keep(key: str | None, value: Any) -> None:
        if key is not None and value is not SKIPPED:
            store.put(node, key, value, ttl=rule.ttl, classes=rule.classes)

    def cached(**arguments: Any) -> Any:
        key, value = look(arguments)
        if value is MISSING:
            value = call(**arguments)
            keep(key, value)
        else:
            note_cached()
        return value

    async def cached_async(**arguments: Any) -> Any:
        key, value = await asyncio.to_thread(look, arguments)
        if value is MISSING:
            value = call(**arguments)
            if asyncio.iscoroutine(value):
                value = await value
            await asyncio.to_thread(keep, key, value)
        else:
            note_cached()
        return value

    return cached_async if is_async else cached


class PlanCaching:
    """What one pipeline keeps, and where."""

    def __init__(
        self, generation: Generation, spec: CacheSpec, config: Mapping[str, Any], store: Callable[[], NodeStore]
    ) -> None:
        """`store` is called when the first node that is kept is found; it may raise ConfigError."""
        self._generation = generation
        self._spec = spec
        self._config = dict(config)
        self._open = store

    @functools.cached_property
    def _store(self) -> NodeStore:
        return self._open()

    def __call__(self, function: Any, call: Any, mark: NodeCache | None, is_async: bool) -> Any:
        """What stands for `call`, the rest of a marked function's guard; `mark` is its `@cached`."""
        name = _node_name(function)
        if not (self._spec.keeps(name) or (mark is not None and self._spec.allows(name))):
            return call
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            return call
        key = mark.key if mark is not None else None
        ttl = mark.ttl if mark is not None and mark.ttl is not None else self._spec.ttl
        classes = classes_of_result(function)
        rule = Rule(
            ttl=ttl,
            key=None if key is None else _keyed(key, function),
            recompute=self._spec.recomputes(name),
            classes=classes,
        )
        version = self.version(name, function, classes, None if key is None else key.function)
        return cached_call(call, node=name, version=version, rule=rule, store=self._store, is_async=is_async)

    def calls(self, selection: Selection) -> dict[str, Any]:
        """For `Selection.calls`: unmarked nodes that `run.cache` takes in."""
        found = {}
        roles = hamilton("node").NodeType
        for name in selection.order:
            node = selection.graph.nodes[name]
            behaviour = node.tags.get(_BEHAVIOUR, "default")
            if (
                self._spec.keeps(name)
                and name not in selection.graph.marked
                and behaviour in ("default", "recompute")
                and _SAVER not in node.tags
                and node.node_role not in (roles.EXPAND, roles.COLLECT)
            ):
                classes = classes_in(node.type)
                recompute = behaviour == "recompute" or self._spec.recomputes(name)
                found[name] = cached_call(
                    node.callable,
                    node=name,
                    version=self.version(name, node.callable, classes, None),
                    rule=Rule(ttl=self._spec.ttl, recompute=recompute, classes=classes),
                    store=self._store,
                    is_async=may_await(node),
                )
        return found

    def version(self, name: str, function: Any, classes: Mapping[str, type], key: Any) -> str:
        """Changes with the code, what the code uses, the configuration, and the classes that values are made of."""
        beside = {
            "python": list(sys.version_info[:2]),
            "config": self._config,
            "classes": list(classes.values()),
            "key": key,
        }
        return version_of_function(self._generation, f"cached {name}", function, beside, thorough=True)


def check_names(pipeline: Pipeline, graph: Graph) -> None:
    """Raise ConfigError for a name in `run.cache` that is no node."""
    spec = pipeline.cache
    named = {"only": spec.only or (), "disable": spec.disable}
    named["recompute"] = () if isinstance(spec.recompute, bool) else spec.recompute
    functions = {_node_name(each) for node in graph.nodes.values() for each in node.originating_functions or ()}
    known = {*graph.computed(), *functions}
    for key, names in named.items():
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"`cache.{key}` names '{name}', but module '{graph.name}' has no such function",
                    where=pipeline.origins.get(f"run.cache.{key}") or graph.file,
                    mend=nearest(name, sorted(known), "correct the name"),
                )


def identity_of(cls: type) -> str:
    """What an object's class adds to a key: its name, and its code where it is the project's."""
    found = _identities.get(cls)
    if found is None:
        found = public_text(f"{cls.__module__}.{cls.__qualname__}")
        generation = generation_of(cls.__module__)
        if generation is not None:
            found = f"{found} {version_of_function(generation, 'class', cls, {}, thorough=True)}"
        _identities[cls] = found
    return found


_identities: WeakKeyDictionary[type, str] = WeakKeyDictionary()


def _keyed(key: OfInputs, function: Any) -> Callable[[Mapping[str, Any]], Any]:
    complete = all_arguments(function)
    return lambda arguments: key(complete(arguments))


def _node_name(function: Any) -> str:
    """The node that a function makes, without the variant that `@config.when` tells from others: ``x__fast``."""
    name: str = function.__name__
    end = name.rfind("__")
    return name[:end] if end > 0 else name
