"""How a line looks."""

from __future__ import annotations

import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import orjson
import structlog
from structlog.typing import Processor, WrappedLogger

from . import safety


def traceback_text(exc_info: Any) -> str:
    """What Python prints of the exception that `exc_info` stands for, in any of the forms that `logging` allows."""
    if exc_info is True or exc_info == 1:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if not isinstance(exc_info, tuple) or exc_info[0] is None:
        return ""
    return "".join(traceback.format_exception(*exc_info)).rstrip()


def as_json(_: WrappedLogger, __: str, event: MutableMapping[str, Any]) -> str:
    """One JSON object."""
    exception = event.pop("exception", "")
    cleaned = safety.clean(event, safety.for_json)
    if exception:
        cleaned["exception"] = safety.for_json(safety.block(exception))
    return orjson.dumps(cleaned).decode()


def for_terminal(*, colors: bool) -> Processor:
    """What makes lines to be read; a traceback follows its line, indented."""
    renderer = structlog.dev.ConsoleRenderer(colors=colors)

    def render(logger: WrappedLogger, name: str, event: MutableMapping[str, Any]) -> str:
        exception = event.pop("exception", "")
        line = str(renderer(logger, name, safety.clean(event, safety.for_console)))
        return f"{line}\n{safety.lines_for_console(safety.block(exception))}" if exception else line

    return render
