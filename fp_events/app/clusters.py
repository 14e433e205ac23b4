"""Executors on a cluster, and what its workers make of their argument."""

from __future__ import annotations

import atexit
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fp_events import config as configuration
from fp_events.domain.closing import close_process
from fp_events.domain.pipeline import ExecutorSpec
from fp_events.domain.ports import Executor, Handler, HandlerLoader
from fp_events.domain.run import PlanRef

from .working import WorkerPlans

if TYPE_CHECKING:
    from fp_events.config import Config


def cluster_executor(
    spec: ExecutorSpec, config: Config, *, publishes: bool, on_link: Callable[[str], None] | None
) -> Executor:
    """The executor of a spec whose type is `ray` or `dask`."""
    argument = {
        # Workers elsewhere have no copy of this machine's.
        "root": (spec.project or config.source) if spec.address else config.source,
        "snapshot": None if spec.address else config.root,
        "environment": config.environment,
        "overrides": config.overrides,
        "publishes": publishes,
    }
    bootstrap, packed = f"{__name__}:loader", json.dumps(argument).encode()
    options: dict[str, Any] = json.loads(spec.options or "{}")
    if spec.type == "dask":
        from fp_events.executors.dask import DaskExecutor

        return DaskExecutor(
            bootstrap, packed, address=spec.address, max_workers=spec.max_workers, options=options, on_link=on_link
        )
    from fp_events.executors.ray import RayExecutor

    return RayExecutor(
        bootstrap,
        packed,
        address=spec.address,
        num_cpus=spec.num_cpus,
        max_workers=spec.max_workers,
        options=options,
        on_link=on_link,
    )


def loader(argument: bytes) -> HandlerLoader:
    """Handlers in a worker's process: of the project as its files are there, and again when they have changed."""
    given = json.loads(argument)
    config = configuration.load(
        given["root"],
        environment=given["environment"],
        overrides=given["overrides"],
        snapshot=given["snapshot"],
    )
    plans = WorkerPlans(config, publishes=given["publishes"])
    # The cluster ends its workers, not we.
    atexit.register(close_process)

    def load(ref: PlanRef) -> Handler:
        return plans.refresh([ref])(ref)

    return load
