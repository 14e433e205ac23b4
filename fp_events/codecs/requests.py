"""What was asked of a run: stored and handed over as JSON."""

from __future__ import annotations

import json
from typing import Any


def decode_request(data: bytes) -> dict[str, Any]:
    """What a command, a schedule or a call asked for."""
    found: dict[str, Any] = json.loads(data)
    return found
