"""The facts of an exception that a plan raised, as text."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator

from fp_events.domain.errors import Rejected
from fp_events.domain.hooks import Hook
from fp_events.domain.run import Failure

#: Lines of a traceback that are kept, from its end.
TRACEBACK_LINES = 60
MESSAGE_LENGTH = 4_000


def failure_of(error: BaseException, *, node: str = "") -> Failure:
    """What is kept of `error`, which `node` raised."""
    lines = [] if isinstance(error, Rejected) and _is_ours(error) else traceback.format_exception(error)
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


def _is_ours(error: BaseException) -> bool:
    """Whether none of the frames is a user's: what was wrong with a message says its sentence."""
    # Generated code, such as a map's, has no module.
    return all(module in {"fp_events", ""} or module in sys.stdlib_module_names for module in _modules(error))


def _modules(error: BaseException | None) -> Iterator[str]:
    """The top-level packages that an error, and those behind it, came through."""
    while error is not None:
        for frame, _ in traceback.walk_tb(error.__traceback__):
            yield str(frame.f_globals.get("__name__", "")).partition(".")[0]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _name(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a user's __str__ may raise anything
        return "(its message cannot be printed)"
