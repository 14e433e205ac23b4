"""What is told of adapters that do not work."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fp_events.adapters import sender, trouble


def test_failures_are_counted_and_told_once_a_minute(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    """The first at once; that it works again once, however often it changes."""
    now = 1000.0
    monkeypatch.setattr(trouble, "monotonic", lambda: now)
    made = trouble.Trouble("mlflow", "work")

    for _ in range(3):
        made.failed(OSError("away"))
        made.worked()
    now += 61
    made.failed("away\nstill")

    lines = [(event, facts["failures"], facts.get("error")) for event, facts in told()]
    assert [
        ("adapter_failed", 1, "OSError: away"),
        ("adapter_works_again", 1, None),
        ("adapter_failed", 4, "away still"),
    ] == lines


def test_what_is_too_much_is_dropped_and_counted(monkeypatch: pytest.MonkeyPatch, told: Any) -> None:
    """A server that takes nothing fills no memory."""
    monkeypatch.setattr(sender, "_MOST", 3)
    free = threading.Event()
    made = sender.Sender(trouble.Trouble("mlflow", "work"))

    for _ in range(10):
        made.put(free.wait)

    assert 6 <= made._trouble.dropped <= 7
    free.set()
    assert 0 == made.flush(5.0)
    ((event, facts),) = told()
    assert ("adapter_dropped", "mlflow") == (event, facts["adapter"])
