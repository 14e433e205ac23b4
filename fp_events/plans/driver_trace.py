"""What happened to each node, where Hamilton's driver runs them: told by an adapter of our own."""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import Any

from fp_events.domain.marks import SKIPPED
from fp_events.domain.observation import NodeRecord

from .hamilton_api import hamilton
from .trace import NOTE, Note, describe


def driver_recorder() -> Any:
    """An adapter for one run; its `records` hold one for each call of a node."""
    return _recorder_class()()


@cache
def _recorder_class() -> type:
    hamilton("lifecycle.base")
    from hamilton.lifecycle import base

    class DriverRecorder(base.BasePreNodeExecute, base.BasePostNodeExecute):  # type: ignore[misc]  # Hamilton is untyped
        """Notes nodes; its hooks are called on the thread that executes the node, one right before, one right after."""

        def __init__(self) -> None:
            self.records: list[NodeRecord] = []
            self._zero = perf_counter()
            #: (node, task) -> when it began, and what its guard has to tell.
            self._began: dict[tuple[str, str | None], tuple[float, Note]] = {}

        def pre_node_execute(
            self, *, run_id: str, node_: Any, kwargs: dict[str, Any], task_id: str | None = None
        ) -> None:
            note = Note()
            NOTE.set(note)
            self._began[node_.name, task_id] = (perf_counter() - self._zero, note)

        def post_node_execute(
            self,
            *,
            run_id: str,
            node_: Any,
            kwargs: dict[str, Any],
            success: bool,
            error: Exception | None,
            result: Any,
            task_id: str | None = None,
        ) -> None:
            now = perf_counter() - self._zero
            began, note = self._began.pop((node_.name, task_id))
            NOTE.set(None)
            skipped = result is SKIPPED
            self.records.append(
                NodeRecord(
                    node=node_.name,
                    status="failed" if error else "skipped" if skipped else "cached" if note.cached else "succeeded",
                    started=began,
                    duration=now - began,
                    attempts=0 if skipped else note.attempts,
                    error=describe(error),
                )
            )

    return DriverRecorder
