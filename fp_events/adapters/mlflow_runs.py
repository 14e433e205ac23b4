"""A run in MLflow for each attempt: inputs as parameters, numbers as metrics, other outputs as files.

Everything goes by `MlflowClient` with the run's id. MLflow's fluent functions and Hamilton's `MLFlowTracker` keep the
run in attributes and thread-local stacks, which runs that go on at the same time would share.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutinefunction
from typing import Any, Final

from hamilton.lifecycle import base

from fp_events.domain.adapters import RUNNING, Running, run_name, without_resources

from .mlflow_values import files, metrics, parameters
from .sender import Sender
from .trouble import Trouble, harmless

#: What one call of `log_batch` takes.
_BATCH: Final = 100
#: MLflow's settings, where the environment has none: tries of a request and seconds for each, since its own, 7 and 120,
#: keep what waits for many minutes; folders as stores, which it takes from those only who ask for them; and no links on
#: standard output.
_DEFAULTS: Final = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(slots=True)
class _Open:
    """A run that goes on."""

    #: MLflow's id, once it is made.
    id: str = ""
    #: MLflow's functions, called by libraries in this thread, belong to it.
    is_current: bool = False


class MlflowRuns(base.BasePreGraphExecute, base.BasePostGraphExecute):
    """Tells MLflow of the runs of one pipeline."""

    def __init__(self, pipeline: str, settings: Mapping[str, Any]) -> None:
        self.trouble = Trouble("mlflow", pipeline)
        self._pipeline = pipeline
        self._settings = settings
        self._sender = Sender(self.trouble)
        self._open: dict[str, _Open] = {}
        self._made = threading.Lock()
        self._client: Any = None
        self._experiment = ""
        self._autologs = False

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the same, with a connection of its own."""
        return MlflowRuns, (self._pipeline, dict(self._settings))

    @harmless
    def pre_graph_execute(self, *, run_id: str, graph: Any, inputs: Mapping[str, Any], **_: Any) -> None:
        """A run begins."""
        run = self._open[run_id] = _Open()
        now = datetime.now(UTC)
        running = RUNNING.get() or Running(run_id=run_id, attempt=1, pipeline=self._pipeline, version="")
        name = run_name(
            self._settings["run_name"],
            pipeline=self._pipeline,
            run_id=running.run_id,
            attempt=running.attempt,
            timestamp=now,
        )
        given = parameters(getattr(graph, "config", None) or {}, without_resources(inputs or {}))
        begin = partial(self._begin, run, now, name, self._tags(running), given)
        if self._settings["autolog"]:
            begin()
            if not any(iscoroutinefunction(node.callable) for node in graph.nodes.values()):
                self._make_current(run)
        else:
            self._sender.put(begin)

    @harmless
    def post_graph_execute(
        self,
        *,
        run_id: str,
        success: bool,
        error: BaseException | None = None,
        results: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """It has ended."""
        run = self._open.pop(run_id, None)
        if run is None:
            return
        if run.is_current:
            import mlflow

            mlflow.end_run("FINISHED" if success else "FAILED")
        values = dict(results) if success and isinstance(results, Mapping) else {}
        reason = "" if error is None else f"{type(error).__name__}: {error}"
        status = "FINISHED" if success else "FAILED" if isinstance(error, Exception) else "KILLED"
        self._sender.put(partial(self._end, run, datetime.now(UTC), status, values, reason))

    def _tags(self, running: Running) -> dict[str, str]:
        tags = {
            "fp_events.run_id": running.run_id,
            "fp_events.attempt": str(running.attempt),
            "fp_events.pipeline": self._pipeline,
            "fp_events.version": running.version,
            "fp_events.topic": running.topic,
            "mlflow.source.name": f"fp-events {self._pipeline}",
            "mlflow.note.content": self._settings["run_description"] or "",
            **self._settings["tags"],
        }
        return {name: text for name, text in tags.items() if text}

    def _begin(self, run: _Open, at: datetime, name: str, tags: Mapping[str, str], given: Mapping[str, str]) -> bool:
        from mlflow.entities import Param

        client = self._connected()
        made = client.create_run(self._experiment, start_time=_milliseconds(at), tags=dict(tags), run_name=name)
        run.id = made.info.run_id
        params = [Param(name, text) for name, text in given.items()]
        for start in range(0, len(params), _BATCH):
            client.log_batch(run.id, params=params[start : start + _BATCH])
        return True

    def _end(self, run: _Open, at: datetime, status: str, values: Mapping[str, Any], reason: str) -> bool:
        from mlflow.entities import Metric

        if not run.id:
            # It was counted when it could not be made.
            return False
        client = self._connected()
        moment = _milliseconds(at)
        found = [Metric(name, number, moment, 0) for name, number in metrics(values).items()]
        for start in range(0, len(found), _BATCH):
            client.log_batch(run.id, metrics=found[start : start + _BATCH])
        for file, content in files(values):
            if isinstance(content, str):
                client.log_text(run.id, content, file)
            else:
                client.log_figure(run.id, content, file)
        if reason:
            client.set_tag(run.id, "fp_events.error", reason[:500])
        client.set_terminated(run.id, status=status, end_time=moment)
        return True

    def _connected(self) -> Any:
        """The client, with the experiment that its runs belong to."""
        with self._made:
            if self._client is None:
                for name, text in _DEFAULTS.items():
                    os.environ.setdefault(name, text)
                from mlflow.tracking import MlflowClient

                client = MlflowClient(self._settings["tracking_uri"], self._settings["registry_uri"])
                self._experiment = self._experiment_of(client)
                self._client = client
            return self._client

    def _experiment_of(self, client: Any) -> str:
        from mlflow.exceptions import MlflowException

        name = self._settings["experiment_name"] or self._pipeline
        tags = dict(self._settings["experiment_tags"])
        if self._settings["experiment_description"]:
            tags["mlflow.note.content"] = self._settings["experiment_description"]
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, self._settings["artifact_location"], tags=tags))
            except MlflowException:
                # Another process may have been faster.
                found = client.get_experiment_by_name(name)
                if found is None:
                    raise
        for key, text in tags.items():
            client.set_experiment_tag(found.experiment_id, key, text)
        return str(found.experiment_id)

    def _make_current(self, run: _Open) -> None:
        """Let MLflow's own functions, which libraries call in this thread, log to this run."""
        import mlflow

        if self._settings["tracking_uri"]:
            mlflow.set_tracking_uri(self._settings["tracking_uri"])
        if self._settings["registry_uri"]:
            mlflow.set_registry_uri(self._settings["registry_uri"])
        if not self._autologs:
            mlflow.autolog()
            self._autologs = True
        mlflow.start_run(run_id=run.id, nested=True)
        run.is_current = True


def _milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)
