"""Hamilton UI: each run with its nodes and what is known of their values, by Hamilton's own tracker."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType
from typing import Any, Final

from hamilton.lifecycle import base

from .sender import Sender
from .trouble import Trouble, harmless

#: Setting -> the SDK's constant for it.
_CONSTANTS: Final = {
    "capture_data_statistics": "CAPTURE_DATA_STATISTICS",
    "max_list_length_capture": "MAX_LIST_LENGTH_CAPTURE",
    "max_dict_length_capture": "MAX_DICT_LENGTH_CAPTURE",
}
#: Where the tracker keeps what it knows of a run, for ever.
_KEPT: Final = ("tracking_states", "dw_run_ids", "task_runs", "final_vars")
#: The settings of the pipeline whose value is summed up.
_settings: ContextVar[Mapping[str, Any] | None] = ContextVar("fp_events_tracker_settings", default=None)


class TrackedRuns(
    base.BasePreGraphExecute, base.BasePostGraphExecute, base.BasePreNodeExecute, base.BasePostNodeExecute
):
    """Passes the hooks of one pipeline on to a `HamiltonTracker`, which is made with the first run."""

    def __init__(self, pipeline: str, settings: Mapping[str, Any]) -> None:
        self.trouble = Trouble("hamilton_tracker", pipeline)
        self._pipeline = pipeline
        self._settings = settings
        self._sender = Sender(self.trouble)
        self._made = threading.Lock()
        self._tracker: Any = None
        #: The tracker knows graphs by their ids: kept alive, so that none is given to another.
        self._graphs: dict[int, Any] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the same, with a connection of its own."""
        return TrackedRuns, (self._pipeline, dict(self._settings))

    @harmless
    def pre_graph_execute(self, *, graph: Any, **given: Any) -> None:
        """A run begins."""
        tracker = self._tracker_for(graph)
        tracker.pre_graph_execute(graph=graph, **given)

    @harmless
    def pre_node_execute(self, *, run_id: str, **given: Any) -> None:
        """A node begins."""
        if self._knows(run_id):
            self._tracker.pre_node_execute(run_id=run_id, **given)

    @harmless
    def post_node_execute(self, *, run_id: str, **given: Any) -> None:
        """It has ended."""
        if self._knows(run_id):
            with _applied(self._settings):
                self._tracker.post_node_execute(run_id=run_id, **given)

    @harmless
    def post_graph_execute(self, *, run_id: str, **given: Any) -> None:
        """A run has ended."""
        if not self._knows(run_id):
            return
        try:
            with _applied(self._settings):
                self._tracker.post_graph_execute(run_id=run_id, **given)
        finally:
            for name in _KEPT:
                getattr(self._tracker, name, {}).pop(run_id, None)

    def _knows(self, run_id: str) -> bool:
        return self._tracker is not None and run_id in self._tracker.dw_run_ids

    def _tracker_for(self, graph: Any) -> Any:
        with self._made:
            if self._tracker is None:
                self._tracker = _make(self._pipeline, self._settings, self._sender)
            if id(graph) not in self._graphs:
                self._tracker.post_graph_construct(graph=graph, modules=_modules(graph), config=graph.config)
                self._graphs[id(graph)] = graph
        return self._tracker


def _make(pipeline: str, settings: Mapping[str, Any], sender: Sender) -> Any:
    # It tells of each step of each run, and where it can be seen, under an id that the server does not have yet.
    logging.getLogger("hamilton_sdk").setLevel(logging.ERROR)
    from hamilton_sdk.adapters import HamiltonTracker

    from .tracker_client import TrackerClient

    _let_pipelines_differ()
    settings = {**settings, "api_url": _server(settings["api_url"])}
    return HamiltonTracker(
        project_id=settings["project_id"],
        username=settings["username"],
        dag_name=settings["dag_name"] or pipeline,
        tags=dict(settings["tags"]),
        client_factory=lambda *_, **__: TrackerClient(settings, sender),
        api_key=settings["api_key"],
        hamilton_api_url=settings["api_url"],
        hamilton_ui_url=settings["ui_url"] or settings["api_url"],
        verify=settings["verify"],
    )


def _server(url: str) -> str:
    """The server's own URL, of one that names its API as well."""
    return url.rstrip("/").removesuffix("/v1").removesuffix("/api")


def _modules(graph: Any) -> list[ModuleType]:
    """The modules that a graph was made from."""
    names = {
        function.__module__: None for node in graph.nodes.values() for function in node.originating_functions or ()
    }
    return [sys.modules[name] for name in names if name in sys.modules]


@contextmanager
def _applied(settings: Mapping[str, Any]) -> Iterator[None]:
    token = _settings.set(settings)
    try:
        yield
    finally:
        _settings.reset(token)


def _let_pipelines_differ() -> None:
    """Make the SDK's constants, of which a process has one set, those of the pipeline whose value is summed up."""
    from hamilton_sdk.tracking import constants

    if isinstance(constants, _Constants):
        return
    own = {name: getattr(constants, name) for name in _CONSTANTS.values()}
    vars(constants)["_own"] = own
    constants.__class__ = _Constants


class _Constants(ModuleType):
    """A module some of whose names depend on the context."""

    _own: dict[str, Any]


def _constant(setting: str, name: str) -> property:
    def read(module: _Constants) -> Any:
        settings = _settings.get()
        return module._own[name] if settings is None else settings[setting]

    def write(module: _Constants, value: Any) -> None:
        module._own[name] = value

    return property(read, write)


for _setting, _name in _CONSTANTS.items():
    setattr(_Constants, _name, _constant(_setting, _name))
