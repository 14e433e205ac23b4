"""Requests signed with a shared key, so that who may publish to a topic may not yet command.

    {"body": "{\\"pipeline\\": ...}", "nonce": "...", "sent_at": 1767225600, "expires_at": 1767225630, "mac": "..."}

`body` is the request as text. `mac` is the HMAC-SHA256 (RFC 2104), in hex, of the command, the nonce, both times as
they stand in the envelope, and the body, each followed by a line break.
"""

from __future__ import annotations

import hmac
import json
import secrets
import time
from typing import Any

#: Bytes of the shortest key that is taken.
SHORTEST_KEY = 16


def mac_of(key: bytes, command: str, nonce: str, sent_at: int, expires_at: int, body: str) -> str:
    """The signature."""
    text = "".join(f"{part}\n" for part in (command, nonce, sent_at, expires_at, body))
    return hmac.new(key, text.encode(), "sha256").hexdigest()


def sealed(key: bytes, command: str, request: dict[str, Any], *, valid: int = 30) -> bytes:
    """A request in a new envelope, valid for so many seconds."""
    body, nonce = json.dumps(request), secrets.token_hex(16)
    sent_at = int(time.time())
    mac = mac_of(key, command, nonce, sent_at, sent_at + valid, body)
    envelope = {"body": body, "nonce": nonce, "sent_at": sent_at, "expires_at": sent_at + valid, "mac": mac}
    return json.dumps(envelope).encode()
