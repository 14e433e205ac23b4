"""What a broker's CONNACK allows."""

from __future__ import annotations

from dataclasses import dataclass

#: Unanswered publications where the broker names no Receive Maximum; some brokers stop at 100.
WINDOW = 100
#: Unanswered publications at most: packet identifiers must not come round while in use.
MAX_WINDOW = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the broker's CONNACK allows (MQTT 5, 3.2.2.3)."""

    session_present: bool = False
    receive_maximum: int = WINDOW
    maximum_qos: int = 2
    retain: bool = True
    #: Bytes of a packet; 0: no limit.
    maximum_packet: int = 0
    subscription_ids: bool = False
    wildcards: bool = True
    shared: bool = True
