"""A log that is written to memory, and put back as it was."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from fp_events.observe import safety


@pytest.fixture(autouse=True)
def _restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    monkeypatch.setattr(safety, "_secrets", set())
    monkeypatch.setattr(safety, "_secret_pattern", None)
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    """What `configure` is given."""
    return io.StringIO()


@pytest.fixture
def events(stream: io.StringIO) -> Callable[[], list[dict[str, Any]]]:
    """The events that were written as JSON so far."""
    return lambda: [json.loads(line) for line in stream.getvalue().split("\n") if line]
