"""What happens while a DAG runs, as its observers are told, and what is left of it in the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fp_events.domain.observation import NodeRecord

Kind = Literal["started", "succeeded", "failed", "retrying", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskEvent:
    """Something happened to a task."""

    dag: str
    task: str
    kind: Kind
    #: Tasks of the DAG that have ended, this one counted, and all there are.
    done: int
    total: int
    #: Calls of the function so far.
    attempt: int = 0
    #: Calls of it at the most.
    attempts: int = 1
    #: Seconds since it started.
    duration: float = 0.0
    #: Seconds until the next call, for ``retrying``.
    delay: float = 0.0
    error: BaseException | None = field(default=None, compare=False)

    @property
    def ended(self) -> bool:
        """The task will not change any more."""
        return self.kind in ("succeeded", "failed", "skipped")


#: Called on the thread that drives the DAG; what it raises is logged and changes nothing.
Progress = Callable[[TaskEvent], None]


class Results(dict[str, Any]):
    """Values by task; tasks that were skipped are not in it."""

    def __init__(self, values: Mapping[str, Any], records: Mapping[str, NodeRecord]) -> None:
        super().__init__(values)
        #: Task -> its status, start, duration and number of calls.
        self.records = records

    @property
    def skipped(self) -> tuple[str, ...]:
        """Tasks that did not run: their condition did not hold, or what they need was skipped."""
        return tuple(name for name, record in self.records.items() if record.status == "skipped")
