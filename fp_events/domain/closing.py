"""What is called when a worker ends: where its event loop ends, or its process.

Executors call `close_loop` and `close_process`; whoever opens something that outlives a run says how to close it.
Kept per process, since that is what ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from weakref import WeakKeyDictionary

#: Event loop -> what closes things that belong to it.
_loops: WeakKeyDictionary[object, list[Callable[[], Awaitable[None]]]] = WeakKeyDictionary()
_process: list[Callable[[], None]] = []


def at_end_of_loop(loop: object, close: Callable[[], Awaitable[None]]) -> None:
    """Have `close` awaited on `loop` before it is closed; it must not raise."""
    _loops.setdefault(loop, []).append(close)


def at_end_of_process(close: Callable[[], None]) -> None:
    """Have `close` called before a worker process ends; it must not raise."""
    _process.append(close)


async def close_loop(loop: object) -> None:
    """Close what belongs to the running `loop`, the latest first."""
    closing = _loops.pop(loop, [])
    while closing:
        await closing.pop()()


def has_to_close(loop: object) -> bool:
    """Whether something belongs to `loop`."""
    return loop in _loops


def close_process() -> None:
    """Close what belongs to this process, the latest first."""
    while _process:
        _process.pop()()
