"""What MQTT lets a text hold."""

from __future__ import annotations

import re

_PLANE_ENDS = "".join(chr(plane << 16 | end) for plane in range(17) for end in (0xFFFE, 0xFFFF))
#: Characters for which a receiver may close the connection (MQTT 5, 1.5.4), as Mosquitto does: control characters
#: and what Unicode says is none. Sent from an outbox, one of them would close every connection anew.
UNSENDABLE = re.compile(f"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef{_PLANE_ENDS}]")


def sendable(text: str) -> str:
    """`text` with a space for each character that MQTT does not allow, lone surrogates too."""
    if text.isascii() and text.isprintable():
        return text
    return UNSENDABLE.sub(" ", text.encode("utf-8", "replace").decode())
