"""From settings to a pipeline's adapters: each is made when it is first asked for, once in a process."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from fp_events.domain.adapters import enabled


class Adapters:
    """The adapters of one pipeline."""

    def __init__(
        self,
        pipeline: str,
        names: Sequence[str],
        settings: Mapping[str, Mapping[str, Any]],
        *,
        in_foreground: bool = False,
    ) -> None:
        """`names` are on unless a run asks otherwise; `in_foreground`: somebody may be watching on a terminal."""
        self._pipeline = pipeline
        self._names = tuple(names)
        self._settings = settings
        self._in_foreground = in_foreground
        self._made: dict[str, Any] = {}
        self._lock = threading.Lock()

    def of(self, asked: Mapping[str, bool]) -> tuple[Any, ...]:
        """The adapters of a run that turns some on and off."""
        with self._lock:
            return tuple(self._adapter(name) for name in enabled(self._names, asked) if self._is_of_use(name))

    def _is_of_use(self, name: str) -> bool:
        return name != "progressbar" or (self._in_foreground and sys.stderr.isatty())

    def _adapter(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = _make(name, self._pipeline, self._settings.get(name, {}))
        return self._made[name]


def _make(name: str, pipeline: str, settings: Mapping[str, Any]) -> Any:
    if name == "hamilton_tracker":
        from .tracker import TrackedRuns

        return TrackedRuns(pipeline, settings)
    if name == "mlflow":
        from .mlflow_runs import MlflowRuns

        return MlflowRuns(pipeline, settings)
    if name == "opentelemetry":
        from .spans import Spans

        return Spans(pipeline, settings)
    if name == "ray":
        from .ray_nodes import RayNodes

        return RayNodes(pipeline, settings)
    from .progress import ProgressBar

    return ProgressBar(pipeline)
