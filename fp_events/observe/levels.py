"""Which lines are shown: levels of the project, of a pipeline, of a run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from fp_events.domain.errors import ConfigError

_NAMES = {
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARNING": logging.WARNING,
    "WARN": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}


def level_number(name: str) -> int:
    """The number of a level's name, in any case. Raises ConfigError for an unknown one."""
    try:
        return _NAMES[name.upper()]
    except KeyError:
        raise ConfigError(
            f"there is no log level '{name}'", mend="use DEBUG, INFO, WARNING, ERROR or CRITICAL"
        ) from None


def level_name(number: int) -> str:
    """The nearest of our levels that is not above `number`; libraries make levels of their own."""
    names = ("critical", "error", "warning", "info")
    return next((name for name in names if number >= level_number(name)), "debug")


class Levels:
    """The narrowest rule wins: the run's level, else its pipeline's, else the project's."""

    def __init__(self, project: str, pipelines: Mapping[str, str]) -> None:
        self._project = level_number(project)
        self._pipelines = {pipeline: level_number(level) for pipeline, level in pipelines.items()}

    @property
    def lowest(self) -> int:
        """Below it, nothing but a run with a level of its own is shown."""
        return min(self._project, *self._pipelines.values(), self._project)

    def admit(self, level: int, event: Mapping[str, Any]) -> bool:
        """Whether an event of this level is shown; `event` may hold `pipeline` and `log_level`."""
        own = event.get("log_level")
        if own is not None:
            return level >= (own if isinstance(own, int) else level_number(own))
        return level >= self._pipelines.get(event.get("pipeline", ""), self._project)
