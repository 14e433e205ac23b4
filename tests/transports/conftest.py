"""Every test of the contract runs on each of these."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from tests.brokers import acl_lines, mosquitto
from tests.transports.places import MemoryPlace, MosquittoPlace, Place, Version


@pytest.fixture(params=["memory", "aiomqtt-5", "aiomqtt-3.1.1"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """A broker of its own for the test; it refuses publications to ``forbidden/…``."""
    if request.param == "memory":
        yield MemoryPlace()
        return
    version = cast("Version", request.param.removeprefix("aiomqtt-"))
    rules = ["topic readwrite #", "topic deny forbidden/#"]
    async with mosquitto([*acl_lines(tmp_path, rules), "allow_zero_length_clientid false"]) as broker:
        yield MosquittoPlace(broker, version)
