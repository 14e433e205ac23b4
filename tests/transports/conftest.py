"""Every test of the contract runs on each of these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.brokers import acl_lines, mosquitto
from tests.transports.places import KINDS, MemoryPlace, MosquittoPlace, Place


@pytest.fixture(params=["memory", *KINDS])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A broker of its own for the test; it refuses publications to ``forbidden/…``."""
    if request.param == "memory":
        yield MemoryPlace()
        return
    rules = ["topic readwrite #", "topic deny forbidden/#"]
    async with mosquitto([*acl_lines(tmp_path, rules), "allow_zero_length_clientid false"]) as broker:
        yield MosquittoPlace(broker, request.param)
