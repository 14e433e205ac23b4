"""Which nodes await, and whether any two of them could do so at the same time."""

from __future__ import annotations

import dis
import inspect
from types import FunctionType
from typing import Any

from .selection import Selection


def returns_coroutine(node: Any) -> bool:
    """Calling the node gives a coroutine for sure."""
    return inspect.iscoroutinefunction(node.callable)


def may_await(node: Any) -> bool:
    """The node comes from an async function, maybe under a sync wrapper, as `@parameterize` makes one."""
    if returns_coroutine(node):
        return True
    return any(inspect.iscoroutinefunction(inspect.unwrap(function)) for function in node.originating_functions or ())


def may_wait(node: Any) -> bool:
    """Awaiting the node may take time, so that others go on meanwhile; an async function without `await` cannot."""
    function = node.callable
    if not may_await(node):
        return False
    return not (
        isinstance(function, FunctionType)
        and function.__code__.co_flags & inspect.CO_COROUTINE
        and all(step.opname not in _WAITS for step in dis.get_instructions(function.__code__))
    )


#: Every `await`, `async for` and `async with` has them.
_WAITS = frozenset({"SEND", "YIELD_VALUE"})


def is_async(selection: Selection) -> bool:
    """Whether any node of the plan awaits."""
    return any(may_await(selection.graph.nodes[name]) for name in selection.order)


def has_sync_nodes(selection: Selection) -> bool:
    """Whether any node of the plan is an ordinary function."""
    return any(not may_await(selection.graph.nodes[name]) for name in selection.order)


def is_concurrent(selection: Selection) -> bool:
    """Whether some node may wait, and two awaiting nodes are independent of one another.

    They are not if each awaiting node is an ancestor of the next one in the plan's order. To know that, it is
    enough to carry along for each node how many awaiting nodes of that chain are above it.
    """
    if not any(may_wait(selection.graph.nodes[name]) for name in selection.order):
        return False
    above: dict[str, int] = {}
    chain = 0
    for name in selection.order:
        node = selection.graph.nodes[name]
        height = max((above.get(dependency, 0) for dependency in node.input_types), default=0)
        if may_await(node):
            if height != chain:
                return True
            chain += 1
            height = chain
        above[name] = height
    return False
