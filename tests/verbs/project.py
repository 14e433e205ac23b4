"""The project that the page's commands are about."""

from __future__ import annotations

from collections.abc import Mapping

FILES: Mapping[str, str] = {
    "conf/project.yml": """\
name: plant
""",
    "pipelines/boiler.py": '''\
"""How hot a boiler is."""

from hamilton.function_modifiers import config


def kelvin(celsius: float) -> float:
    """On the scale that begins at absolute zero."""
    if celsius < -273.15:
        raise ValueError("colder than absolute zero")
    return celsius + 273.15


@config.when(region="emea")
def label__emea(kelvin: float) -> str:
    """As it is shown in Europe."""
    return f"{kelvin - 273.15:.0f} °C"


@config.when_not(region="emea")
def label__other(kelvin: float) -> str:
    """As it is shown elsewhere."""
    return f"{kelvin:.2f} K"
''',
    "conf/pipelines/boiler.yml": """\
schedule:
  cron: "0 5 1 1 *"
  inputs: {celsius: 20}
""",
    "pipelines/kiln.py": '''\
"""A kiln takes its time."""

import asyncio


async def dried(minutes: float) -> str:
    """Ends when the time is over."""
    await asyncio.sleep(60 * minutes)
    return f"dry after {minutes} minutes"
''',
    "pipelines/mould.py": '''\
"""Parts are counted by workers."""


def parts(shots: int, cavities: int = 4) -> int:
    """How many there are."""
    return shots * cavities
''',
    "conf/pipelines/mould.yml": """\
run:
  executor: {type: rq, url: "${REDIS_URL:-redis://127.0.0.1:6379/0}", queue: hall}
""",
}
