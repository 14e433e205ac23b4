"""One thing that FlowerPower's job queue does, and what is written here for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Until:
    """What has to be so before the next line; not on the page."""

    #: A command that the daemon answers, and its arguments.
    command: str
    arguments: Mapping[str, Any]
    is_so: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Row:
    """As FlowerPower writes it, and as it is written here."""

    #: Lines of FlowerPower; commands without the `flowerpower` before them.
    theirs: Sequence[str]
    #: Lines of a shell, or statements of Python; none where there is nothing to do.
    here: Sequence[str | Until] = ()
    #: What the output does not say, in Markdown.
    note: str = ""

    @property
    def lines(self) -> Sequence[str]:
        """What is written here."""
        return [line for line in self.here if isinstance(line, str)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verb:
    """A heading of the page."""

    title: str
    rows: Sequence[Row]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Verbs of one kind."""

    title: str
    verbs: Sequence[Verb]
    note: str = ""
    #: The rows are statements of Python.
    python: bool = False

    @property
    def rows(self) -> Sequence[Row]:
        """Of all its verbs."""
        return [row for verb in self.verbs for row in verb.rows]


def ended(run_id: str) -> Until:
    """A run has ended."""
    return Until("runs.show", {"run_id": run_id}, lambda run: run["state"] == "finished")


def running(run_id: str) -> Until:
    """A run executes."""
    return Until("runs.show", {"run_id": run_id}, lambda run: run["state"] == "running")


def fired(schedule_id: str) -> Until:
    """A schedule has started a run."""
    return Until("schedules.show", {"schedule_id": schedule_id}, lambda found: found["last_fire_at"] is not None)


def idle() -> Until:
    """Every run has ended."""
    return Until("runs.list", {"state": "queued,running,waiting"}, lambda found: not found["runs"])
