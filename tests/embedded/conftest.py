"""A folder for an embedded broker, and whatever runs in it ended afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fp_events.brokers.address import read_record
from fp_events.brokers.mosquitto import end
from tests.support import require_program


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A `.fp-events` whose path holds what configuration files stumble over."""
    require_program("mosquitto")
    folder = tmp_path / "my prôject" / ".fp-events"
    yield folder
    record = read_record(folder)
    if record is not None and record.kind == "mosquitto":
        end(record)
