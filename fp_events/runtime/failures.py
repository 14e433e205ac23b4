"""The facts of an exception that a plan raised, as text."""

from __future__ import annotations

import traceback

from fp_events.domain.hooks import Hook
from fp_events.domain.run import Failure

#: Lines of a traceback that are kept, from its end.
TRACEBACK_LINES = 60
MESSAGE_LENGTH = 4_000


def failure_of(error: BaseException, *, node: str = "") -> Failure:
    """What is kept of `error`, which `node` raised."""
    lines = traceback.format_exception(error)
    return Failure(
        type=_name(type(error)),
        message=_text(error)[:MESSAGE_LENGTH],
        lineage=tuple(_name(cls) for cls in type(error).__mro__ if cls is not object),
        node=node,
        traceback="".join(lines[-TRACEBACK_LINES:]),
    )


def line_of(hook: Hook, error: BaseException) -> str:
    """``file:line`` of the hook's module that the error came through last; of its `def` where it did not."""
    file = hook.where.rpartition(":")[0]
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename.endswith(f"/{file}")]
    return f"{file}:{lines[-1]}" if file and lines else hook.where or hook.text


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        return "(its message cannot be printed)"
