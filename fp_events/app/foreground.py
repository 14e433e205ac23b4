"""A run in the foreground, as the command line asks for it: values in and out are JSON."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .calling import Calls
from .single import Call, RunReport

if TYPE_CHECKING:
    from fp_events.config import Config


def run_pipeline(config: Config, call: Call) -> RunReport:
    """Run a pipeline once, here and now; what the call says goes before the configuration.

    Raises PipelineNotFound, and ConfigError where the pipeline cannot be compiled.
    """
    return asyncio.run(_run(config, call))


async def _run(config: Config, call: Call) -> RunReport:
    calls = Calls(config)
    try:
        return await calls.run(call)
    finally:
        await calls.close()
