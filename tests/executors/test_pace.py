"""How many runs of a pipeline may share one hand-over."""

from __future__ import annotations

import pytest

from fp_events.executors._pace import Pace


@pytest.mark.parametrize(("seconds", "expected"), [(0.0001, 200), (0.001, 20), (0.0019, 10), (0.0031, 1), (30.0, 1)])
def test_only_fast_runs_share(seconds: float, expected: int) -> None:
    """As many as are done in 20 ms; of a slow pipeline, or one not measured yet, none waits behind another."""
    pace = Pace()
    assert 1 == pace.share("press", 0.02, 200)

    pace.record("press", seconds)

    assert expected == pace.share("press", 0.02, 200)
