"""One stream of log lines for the daemon, the libraries under it and the users' functions.

Events are structlog's: a past-tense name and facts. Records of the standard library's `logging` become events of the
same form. On a terminal they are shown to be read, elsewhere as one JSON object per line.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import Processor, WrappedLogger

from .levels import Levels, level_name, level_number
from .render import as_json, for_terminal, traceback_text
from .safety import register_secret

__all__ = ["admit", "configure", "register_secret"]

#: Attributes of every record of `logging`; others came with `extra`.
_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

Format = Literal["auto", "console", "json"]


def configure(
    level: str = "INFO",
    format: Format = "auto",  # noqa: A002 - the setting's name
    *,
    stream: TextIO | None = None,
    pipelines: Mapping[str, str] | None = None,
) -> None:
    """Send all log lines of this process to `stream` (standard error). May be called again.

    `pipelines` gives levels to events that carry `pipeline`; an event that carries `log_level` brings its own.
    Both may be bound with `structlog.contextvars`. Raises ConfigError for an unknown level.
    """
    stream = stream or sys.stderr
    levels = Levels(level, pipelines or {})
    terminal = stream.isatty()
    console = format == "console" or (format == "auto" and terminal)
    _line.configure(stream, levels, for_terminal(colors=terminal) if console else as_json)
    structlog.configure(
        processors=[_line.process],
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        logger_factory=lambda *_: _line,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Handler)]:
        root.removeHandler(old)
    root.addHandler(_Handler())
    root.setLevel(levels.lowest)
    logging.captureWarnings(True)


def admit(level: str) -> None:
    """A run with this level of its own is about to start: let records of `logging` come as far as its rule.

    They are stopped early, before any rule is asked, below the lowest level that was configured.
    """
    root = logging.getLogger()
    root.setLevel(min(root.level, level_number(level)))


class _Line:
    """From an event to its line. One for the process: loggers that were made earlier follow a new configuration."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.configure(sys.stderr, Levels("INFO", {}), as_json)

    def configure(self, stream: TextIO, levels: Levels, render: Processor) -> None:
        self._stream = stream
        self._levels = levels
        self._render = render

    def process(self, _: WrappedLogger, level: str, event: MutableMapping[str, Any]) -> str:
        """structlog's chain in one step. Raises DropEvent for what is not shown."""
        event = merge_contextvars(None, level, event)
        if not self._levels.admit(level_number(level), event):
            raise structlog.DropEvent
        event.pop("log_level", None)
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        if exception := traceback_text(event.pop("exc_info", None)):
            event["exception"] = exception
        return str(
            self._render(None, level, {"timestamp": now, "level": level, "event": event.pop("event", ""), **event})
        )

    def msg(self, line: str) -> None:
        """Write. A closed pipe or a full disk under the log stops no run."""
        with self._lock, suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


_line = _Line()


class _Handler(logging.Handler):
    """Records of the standard library's `logging` on the same way."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            extra = {key: value for key, value in vars(record).items() if key not in _RECORD}
            event = {**extra, "event": record.getMessage(), "logger": record.name, "exc_info": record.exc_info}
            _line.msg(_line.process(None, level_name(record.levelno), event))
        except structlog.DropEvent:
            return
        except Exception:  # noqa: BLE001 - logging's own rule: a bad record is told of, and stops nobody
            self.handleError(record)
