"""Nodes on Ray: each is a task of Ray's, and values stay there until the run's outputs are fetched.

Where Ray cannot be reached nodes run here, which is counted and told.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final

from hamilton.lifecycle import base

from .trouble import Trouble, harmless

#: A task's name in the text of its error.
_TASK: Final = re.compile(r"ray::(\w+)\(")
#: Unless `ray_init_config` says otherwise.
_DEFAULTS: Final = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}


class RayNodes(base.BaseDoRemoteExecute, base.BaseDoBuildResult, base.BasePreGraphExecute, base.BasePostGraphExecute):
    """Places the nodes of one pipeline."""

    def __init__(self, pipeline: str, settings: Mapping[str, Any]) -> None:
        self.trouble = Trouble("ray", pipeline)
        self._pipeline = pipeline
        self._settings = settings

    def __reduce__(self) -> tuple[Any, ...]:
        """In another process: the same."""
        return RayNodes, (self._pipeline, dict(self._settings))

    @harmless
    def pre_graph_execute(self, *, graph: Any, **_: Any) -> None:
        """A run begins."""
        _cluster.enter(self._settings["ray_init_config"])
        _send_code_along(graph)

    def do_remote_execute(self, *, node: Any, execute_lifecycle_for_node: Callable[..., Any], **kwargs: Any) -> Any:
        """A reference to the node's value, which Ray is to compute."""
        import ray
        from hamilton.plugins.h_ray import parse_ray_remote_options_from_tags

        if not ray.is_initialized():
            return execute_lifecycle_for_node(**kwargs)

        # A function of its own: Ray takes no partials.
        def compute(**given: Any) -> Any:
            return execute_lifecycle_for_node(**given)

        options = {"name": node.name, **parse_ray_remote_options_from_tags(node.tags)}
        return ray.remote(compute).options(**options).remote(**kwargs)

    def do_build_result(self, *, outputs: Mapping[str, Any]) -> Any:
        """The values themselves. A node's error is raised as what it was there."""
        import ray

        try:
            return {
                name: ray.get(value) if isinstance(value, ray.ObjectRef) else value for name, value in outputs.items()
            }
        except ray.exceptions.RayTaskError as error:
            cause = error.cause
            if not isinstance(cause, Exception):
                raise
            named = _TASK.search(str(error))
            cause.add_note(f"raised on Ray by the node '{named[1]}'" if named else "raised on Ray")
            raise cause from error

    @harmless
    def post_graph_execute(self, **_: Any) -> None:
        """It has ended."""
        _cluster.leave(shut_down=self._settings["shutdown_ray_on_completion"])


class _Cluster:
    """This process's connection to Ray."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = 0
        #: The process that began it; None: somebody else did, and ends it.
        self._begun_in: int | None = None

    def enter(self, config: Mapping[str, Any]) -> None:
        """One more run; raises what Ray raises where it cannot be reached."""
        import ray

        with self._lock:
            self._runs += 1
            if not ray.is_initialized():
                ray.init(**_DEFAULTS | dict(config))
                self._begun_in = os.getpid()

    def leave(self, *, shut_down: bool) -> None:
        """One run less; the last one may end what we have begun."""
        import ray

        with self._lock:
            self._runs = max(0, self._runs - 1)
            if shut_down and not self._runs and self._begun_in == os.getpid():
                self._begun_in = None
                ray.shutdown()


_cluster = _Cluster()


def _send_code_along(graph: Any) -> None:
    """Have the project's modules travel with their functions: Ray's workers cannot import them."""
    from ray import cloudpickle

    by_value: Callable[[ModuleType], None] = cloudpickle.register_pickle_by_value
    for node in graph.nodes.values():
        for function in node.originating_functions or ():
            module = sys.modules.get(function.__module__)
            if module is None:
                continue
            package = module.__name__.partition(".")[0]
            for name, other in list(sys.modules.items()):
                if other is not None and (name == package or name.startswith(f"{package}.")):
                    by_value(other)
