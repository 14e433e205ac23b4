"""The log of a DAG's life, for whoever asks for it: start, success, failure, retry, skip, progress."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any, TextIO

from .events import Progress, TaskEvent

if TYPE_CHECKING:
    from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger


class LogLevel(IntEnum):
    """How important a line is; a logger leaves out what is below its own."""

    DEBUG = logging.DEBUG
    INFO = logging.INFO
    WARNING = logging.WARNING
    ERROR = logging.ERROR
    CRITICAL = logging.CRITICAL


class FlowkitLogger:
    """Lines for people, or one JSON object per line. May be used by threads.

    Further keywords of its methods become fields of the line.
    """

    def __init__(
        self,
        name: str = "flowkit",
        level: LogLevel | str = LogLevel.INFO,
        json_output: bool = False,
        *,
        stream: TextIO | None = None,
    ) -> None:
        """`stream`: standard output as it is at each line, if None. Raises KeyError for an unknown level's name."""
        self.name = name
        self.level = LogLevel[level.upper()] if isinstance(level, str) else LogLevel(level)
        self.json_output = json_output
        self._log = _logger(self.level, _json if json_output else _line, _Lines(stream), name)

    def log_task_start(self, task_name: str, **context: Any) -> None:
        """A task's function is about to be called for the first time."""
        self._log.info(f"Task started: {task_name}", kind="task_start", task_name=task_name, **context)

    def log_task_success(self, task_name: str, duration: float | None = None, **context: Any) -> None:
        """A task has its value; `duration` in seconds."""
        facts = {"task_name": task_name, **_known(duration=duration), **context}
        self._log.info(f"Task succeeded: {task_name}{_took(duration)}", kind="task_success", **facts)

    def log_task_failure(self, task_name: str, error: BaseException, **context: Any) -> None:
        """A task raised, and is not called again."""
        facts = {"task_name": task_name, "error_type": type(error).__name__, "error_message": str(error), **context}
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._log.error(f"Task failed: {task_name}: {text}", kind="task_failure", **facts)

    def log_task_retry(self, task_name: str, attempt: int, max_retries: int, delay: float, **context: Any) -> None:
        """A task raised, and is called again in `delay` seconds; `attempt` counts retries from 1."""
        facts = {"task_name": task_name, "attempt": attempt, "max_retries": max_retries, "delay": delay, **context}
        text = f"Task retry: {task_name}, {attempt}/{max_retries} in {round(delay, 3)} s"
        self._log.warning(text, kind="task_retry", **facts)

    def log_task_skip(self, task_name: str, reason: str = "", **context: Any) -> None:
        """A task does not run."""
        facts = {"task_name": task_name, "reason": reason, **context}
        self._log.info(f"Task skipped: {task_name}{f': {reason}' if reason else ''}", kind="task_skip", **facts)

    def log_dag_start(self, dag_name: str, total_tasks: int, **context: Any) -> None:
        """A run begins."""
        facts = {"dag_name": dag_name, "total_tasks": total_tasks, **context}
        self._log.info(f"DAG started: {dag_name}, {total_tasks} tasks", kind="dag_start", **facts)

    def log_dag_progress(self, dag_name: str, completed: int, total: int, **context: Any) -> None:
        """One more task has ended."""
        percent = 100 * completed / total if total else 100.0
        facts = {"dag_name": dag_name, "completed": completed, "total": total, "percent": round(percent, 1), **context}
        self._log.info(f"DAG progress: {dag_name}, {completed}/{total} ({percent:.1f}%)", kind="dag_progress", **facts)

    def log_dag_complete(self, dag_name: str, total_tasks: int, duration: float | None = None, **context: Any) -> None:
        """All tasks have ended well, or were skipped."""
        facts = {"dag_name": dag_name, "total_tasks": total_tasks, **_known(duration=duration), **context}
        text = f"DAG completed: {dag_name}, {total_tasks} tasks{_took(duration)}"
        self._log.info(text, kind="dag_complete", **facts)

    def log_dag_failure(self, dag_name: str, error: BaseException, duration: float, **context: Any) -> None:
        """A run ended by an error."""
        facts = {"dag_name": dag_name, "error_message": str(error), "duration": duration, **context}
        self._log.error(f"DAG failed: {dag_name}{_took(duration)}: {error}", kind="dag_failure", **facts)

    def observer(self, dag: str, total: int) -> Progress:
        """What tells this logger of each task of a run."""
        return lambda event: self._tell(event, dag, total)

    @contextmanager
    def around(self, dag: str, total: int) -> Iterator[None]:
        """Tell of a run's begin, and of its end."""
        started = time.perf_counter()
        self.log_dag_start(dag, total)
        try:
            yield
        except BaseException as error:
            self.log_dag_failure(dag, error, time.perf_counter() - started)
            raise
        self.log_dag_complete(dag, total, time.perf_counter() - started)

    def _tell(self, event: TaskEvent, dag: str, total: int) -> None:
        if event.kind == "started":
            self.log_task_start(event.task, dag_name=dag)
        elif event.kind == "retrying":
            facts = {"dag_name": dag, "error_message": str(event.error)}
            self.log_task_retry(event.task, event.attempt, event.attempts - 1, event.delay, **facts)
        elif event.kind == "succeeded":
            self.log_task_success(event.task, event.duration, dag_name=dag, attempt=event.attempt)
        elif event.kind == "skipped":
            self.log_task_skip(event.task, "its condition does not hold, or what it needs was skipped", dag_name=dag)
        elif event.error is not None:
            self.log_task_failure(event.task, event.error, dag_name=dag, attempt=event.attempt)
        if event.ended:
            self.log_dag_progress(dag, event.done, total)


_global: FlowkitLogger | None = None


def configure_logging(
    level: LogLevel | str = LogLevel.INFO, json_output: bool = False, *, stream: TextIO | None = None
) -> FlowkitLogger:
    """The logger of all DAGs that have none of their own, from now on."""
    global _global  # noqa: PLW0603 (a configuration of the process)
    _global = FlowkitLogger(level=level, json_output=json_output, stream=stream)
    return _global


def get_logger() -> FlowkitLogger:
    """The logger of `configure_logging`; one with defaults, which no DAG uses, before that."""
    return _global or FlowkitLogger()


def configured_logger() -> FlowkitLogger | None:
    """The logger of `configure_logging`; None before it: logging is for those who ask for it."""
    return _global


def _logger(level: LogLevel, render: Any, lines: _Lines, name: str) -> FilteringBoundLogger:
    import structlog

    wrapper = structlog.make_filtering_bound_logger(level)
    made: FilteringBoundLogger = structlog.wrap_logger(
        lines, processors=[structlog.processors.format_exc_info, render], wrapper_class=wrapper
    )
    return made.bind(logger=name)


class _Lines:
    """Writes whole lines. A closed pipe under the log stops no task."""

    _lock = threading.Lock()

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        stream = self._stream or sys.stdout
        with self._lock, suppress(OSError, ValueError):
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = critical = msg


def _line(_: WrappedLogger, level: str, event: EventDict) -> str:
    return f"{datetime.now().astimezone():%H:%M:%S} [{level.upper()}] {event['event']}"


def _json(_: WrappedLogger, level: str, event: EventDict) -> str:
    import json

    message, kind = event.pop("event"), event.pop("kind")
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps(
        {"timestamp": now, "level": level.upper(), "message": message, "event": kind, **event},
        ensure_ascii=False,
        default=str,
    )


def _known(**facts: float | None) -> dict[str, float]:
    return {name: value for name, value in facts.items() if value is not None}


def _took(duration: float | None) -> str:
    return "" if duration is None else f" in {round(duration, 3)} s"
