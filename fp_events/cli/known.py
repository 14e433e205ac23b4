"""Whether a pipeline of a name has ever been: a typo shall not look like an empty answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fp_events.domain.errors import PipelineNotFound

from .daemon import call

if TYPE_CHECKING:
    from fp_events.config import Config


def expect_known(config: Config, pipeline: str | None) -> None:
    """Raise PipelineNotFound where neither the project nor the ledger knows `pipeline`; None is any.

    Runs and state of a pipeline that was deleted stay in the ledger, and stay within reach.
    """
    if pipeline is None or pipeline in config.pipelines:
        return
    for command, rows in (("runs.list", "runs"), ("state.list", "states")):
        if call(config, command, {"pipeline": pipeline, "limit": 1})[rows]:
            return
    raise PipelineNotFound(pipeline, sorted(config.pipelines))
