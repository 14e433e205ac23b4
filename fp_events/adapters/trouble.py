"""What an adapter could not do: counted, told in the log, and no run's affair."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Final, TypeVar, cast

from fp_events.domain.adapters import ADAPTERS, missing

_log = logging.getLogger("fp_events.adapters")
#: Seconds between two lines about the same adapter.
_PAUSE: Final = 60.0
#: Characters of an error's text.
_LONGEST: Final = 300


class Trouble:
    """The failures of one adapter of one pipeline: the first is told at once, later ones once a minute."""

    def __init__(self, adapter: str, pipeline: str) -> None:
        self.adapter = adapter
        self.pipeline = pipeline
        #: What was tried and failed since the start.
        self.failures = 0
        #: What was not even tried since too much was waiting, or the process ended.
        self.dropped = 0
        self._lock = threading.Lock()
        self._told_at = float("-inf")
        #: A failure was told, and not yet that it is over.
        self._owes = False

    def failed(self, error: BaseException | str) -> None:
        """Something did not work."""
        text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
        if isinstance(error, ModuleNotFoundError) and missing(self.adapter):
            text = f"{text}; pip install '{ADAPTERS[self.adapter].requirement}'"
        with self._lock:
            self.failures += 1
        if self._tell("adapter_failed", " ".join(text.split())[:_LONGEST]):
            self._owes = True

    def gave_up(self, count: int, why: str) -> None:
        """So many things were not tried."""
        with self._lock:
            self.dropped += count
        self._tell("adapter_dropped", why)

    def worked(self) -> None:
        """Something worked; told after a failure that was told."""
        if self._owes:
            self._owes = False
            _log.info("adapter_works_again", extra=self._facts())

    def _tell(self, event: str, error: str) -> bool:
        now = monotonic()
        with self._lock:
            if now - self._told_at < _PAUSE:
                return False
            self._told_at = now
        _log.warning(event, extra={**self._facts(), "error": error})
        return True

    def _facts(self) -> dict[str, Any]:
        return {
            "adapter": self.adapter,
            "pipeline": self.pipeline,
            "failures": self.failures,
            "dropped": self.dropped,
        }


Hook = TypeVar("Hook", bound=Callable[..., None])


def harmless(hook: Hook) -> Hook:
    """A hook of an adapter with `trouble`, whose errors stay out of the run."""

    @functools.wraps(hook)
    def call(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            hook(self, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - libraries raise anything, and the run goes on
            self.trouble.failed(error)

    return cast("Hook", call)
