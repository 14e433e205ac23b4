"""Runs and schedules of a project: of its daemon, or of its ledger where none runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .submitted import Ask, Submitted


class Runs:
    """What ran."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def list(self, **filters: Any) -> list[dict[str, Any]]:
        """Newest first; filters as the command `runs.list` takes them: pipeline, state, outcome, key, since, limit."""
        found: list[dict[str, Any]] = self._ask("runs.list", filters)["runs"]
        return found

    def show(self, run_id: str) -> dict[str, Any]:
        """One run, whole. Raises RunNotFound."""
        return self._ask("runs.show", {"run_id": run_id})

    def get(self, run_id: str) -> Submitted:
        """The handle of a run. Raises RunNotFound."""
        return Submitted(self.show(run_id)["run_id"], self._ask)

    def cancel(self, *run_ids: str) -> dict[str, Any]:
        """End runs; what was cancelled, and what was refused."""
        return self._ask("runs.cancel", {"run_ids": list(run_ids)})

    def retry(self, *run_ids: str) -> dict[str, Any]:
        """Try runs again that ended badly."""
        return self._ask("runs.retry", {"run_ids": list(run_ids)})

    def purge(self, *run_ids: str) -> dict[str, Any]:
        """Delete finished runs."""
        return self._ask("runs.purge", {"run_ids": list(run_ids)})


class Schedules:
    """Runs by the clock."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def list(self, pipeline: str | None = None) -> list[dict[str, Any]]:
        """By id."""
        found: list[dict[str, Any]] = self._ask("schedules.list", {"pipeline": pipeline})["schedules"]
        return found

    def show(self, schedule_id: str) -> dict[str, Any]:
        """One schedule, with the times at which it will fire. Raises ScheduleNotFound."""
        return self._ask("schedules.show", {"schedule_id": schedule_id})

    def add(
        self,
        pipeline: str,
        *,
        cron: str | dict[str, Any] | None = None,
        interval: str | float | dict[str, Any] | None = None,
        date: Any = None,
        schedule_id: str | None = None,
        overwrite: bool = False,
        **options: Any,
    ) -> dict[str, Any]:
        """Add one to the daemon, which keeps it over restarts; options as the command `schedules.add` takes them."""
        rule = {"cron": cron, "interval": interval, "date": date}
        given = {"pipeline": pipeline, **rule, "schedule_id": schedule_id, "overwrite": overwrite or None, **options}
        return self._ask("schedules.add", given)

    def pause(self, *schedule_ids: str) -> Sequence[str]:
        """Fire no more until resumed; all, where none is named. The ids of those that are different now."""
        return self._change("pause", schedule_ids, "paused")

    def resume(self, *schedule_ids: str) -> Sequence[str]:
        """Go on from now."""
        return self._change("resume", schedule_ids, "resumed")

    def remove(self, *schedule_ids: str) -> Sequence[str]:
        """Delete schedules that were added; those of the project's files can be paused."""
        return self._change("remove", schedule_ids, "removed")

    def sync(self, *, overwrite: bool = False) -> dict[str, Any]:
        """Make the daemon's schedules what the project's files say."""
        return self._ask("schedules.sync", {"overwrite": overwrite or None})

    def _change(self, verb: str, schedule_ids: tuple[str, ...], done: str) -> Sequence[str]:
        chosen = {"schedule_ids": list(schedule_ids)} if schedule_ids else {"all": True}
        changed: Sequence[str] = self._ask(f"schedules.{verb}", chosen)[done]
        return changed
