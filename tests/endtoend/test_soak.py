"""A short soak: what a long one looks for, for those who wait."""

from __future__ import annotations

import sys

import pytest

from .soak import soak


@pytest.mark.skipif(sys.platform != "linux", reason="figures come from /proc")
async def test_nothing_grows_under_a_steady_load() -> None:
    """Messages in bursts, at 200 a second: every result comes; files, threads and tasks stay as many."""
    report = await soak(rate=200, seconds=14, idle=2, warm=500, every=1.0)

    assert report.problems == []
    assert report.sent == report.results == 2800
    assert report.idle_cpu < 10
