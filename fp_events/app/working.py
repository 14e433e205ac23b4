"""What a worker process runs: the project's pipelines, as its files have them when a job comes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fp_events import config as configuration
from fp_events.domain.closing import at_end_of_process
from fp_events.domain.errors import ConfigError
from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import PlanRef
from fp_events.runtime.resources import Pool

from .building import catalogue, check, handler_loader
from .hooking import opening
from .watching import fingerprint

if TYPE_CHECKING:
    from fp_events.config import Config

#: RQ's own, which its workers set up.
_log = logging.getLogger("rq.worker")


class WorkerPlans:
    """Handlers of a project, compiled anew when a job asks for a version that the files may have by now."""

    def __init__(self, config: Config, *, publishes: bool = True) -> None:
        """Compile everything; raises ConfigError. `publishes`: results are for topics."""
        errors = [problem for problem in check(config) if not problem.warning]
        if errors:
            raise ConfigError.of(errors)
        self._config = config
        self._publishes = publishes
        self._pool = Pool()
        at_end_of_process(self._pool.close_process)
        self._load: HandlerLoader
        self._versions: dict[str, str] = {}
        self._read(config)

    def refresh(self, refs: Sequence[PlanRef]) -> HandlerLoader:
        """The loader; files that are broken now leave it as it was."""
        unknown = any(ref.version and ref.version != self._versions.get(ref.pipeline) for ref in refs)
        if unknown and (self._config.remote or fingerprint(self._folder) != self._seen):
            try:
                self._read(configuration.reload(self._config))
            except Exception as error:  # noqa: BLE001 - users' modules raise anything
                _log.error("the project's files are not taken over: %s", error)
        return self._load

    def _read(self, config: Config) -> None:
        self._folder = config.local_path(".")
        self._seen = fingerprint(self._folder)
        plans = catalogue(config)
        load = handler_loader(config, plans, publishes=self._publishes, pool=self._pool)
        versions = {}
        for name, pipeline in config.pipelines.items():
            versions[name] = plans.plan(pipeline).ref.version
            load(PlanRef(name))
        self._load, self._versions = opening(load), versions
