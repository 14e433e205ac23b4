"""What comes through a gateway."""

import base64
import json

from fp_events.domain.observation import AttemptRecord


def unpack(payload: dict) -> dict:
    """Inputs by name, from the frame that the gateway has packed."""
    frame = json.loads(base64.b64decode(payload["data"]))
    return {"device": frame["d"], "value": frame["v"], "unit": frame.get("u", "C")}


def plausible(record: AttemptRecord) -> None:
    """What no sensor can measure fails the attempt."""
    if record.inputs["value"] < -273.15:
        raise ValueError(f"{record.inputs['device']} measures less than nothing")
