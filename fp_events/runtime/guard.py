"""What a request by MQTT has to pass before it is looked at: rate, reply topic, command, signature."""

from __future__ import annotations

import hmac
import json
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fp_events.domain.envelope import mac_of
from fp_events.domain.errors import CommandRefused

#: Seconds that an envelope may be valid for, and that clocks may differ.
LONGEST = 60
SKEW = 5
#: Characters of a nonce.
_NONCE = range(16, 101)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRules:
    """What the configuration says of commands by MQTT."""

    #: Names of the commands that are taken; None: all.
    commands: frozenset[str] | None = None
    #: Topics below which replies may be asked for, beside those of the daemon itself.
    reply_topics: tuple[str, ...] = ()
    #: Requests a second, on average over two.
    rate: float = 100.0
    #: Key of the requests' signatures; None: they are not signed.
    key: bytes | None = None


class Guard:
    """Lets requests pass, or raises CommandRefused."""

    def __init__(
        self, rules: ControlRules, *, reply_base: str, answered_until: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        """`answered_until`: the newest `sent_at` that earlier daemons have taken, of signed requests."""
        self._rules = rules
        self._replies = (reply_base, *rules.reply_topics)
        self._clock = clock
        self._earlier = answered_until
        #: The newest `sent_at` of a signed request that was taken.
        self.answered_until = answered_until
        self._tokens = 2 * rules.rate
        self._filled = time.monotonic()
        #: Nonce -> when it may be forgotten; in that order, nearly.
        self._nonces: OrderedDict[str, float] = OrderedDict()

    def may_reply(self, topic: str) -> bool:
        """Whether a reply may go to this topic."""
        return any(topic == base or topic.startswith(f"{base.rstrip('/')}/") for base in self._replies)

    def admit(self, command: str, response_topic: str | None) -> None:
        """Check what can be told without the payload."""
        self._count(command)
        if response_topic and not self.may_reply(response_topic):
            raise CommandRefused(
                f"replies may not go to '{response_topic}'", where=command, mend="name it under control.reply_topics"
            )
        if self._rules.commands is not None and command not in self._rules.commands:
            raise CommandRefused(
                f"the command '{command}' is not taken by MQTT", where=command, mend="name it under control.commands"
            )

    def _count(self, command: str) -> None:
        now, rate = time.monotonic(), self._rules.rate
        self._tokens = min(2 * rate, self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1:
            raise CommandRefused(f"more than {rate:g} requests a second", where=command, mend="send it again later")
        self._tokens -= 1

    def open(self, command: str, request: dict[str, Any]) -> dict[str, Any]:
        """The request: as it came, or out of its envelope where requests are signed."""
        key = self._rules.key
        if key is None:
            return request
        body = request.get("body")
        numbers = (request.get("sent_at"), request.get("expires_at"))
        texts = (body, request.get("nonce"), request.get("mac"))
        if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
            raise _refused(command, "the request is not signed", "put it into an envelope, as docs/commands.md shows")
        self._verify(key, command, request)
        try:
            found = json.loads(str(body))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise _refused(command, "the envelope's body is not a JSON object", "")
        return {**found, "sent_at": request["sent_at"]}

    def _verify(self, key: bytes, command: str, envelope: Mapping[str, Any]) -> None:
        nonce, sent_at, expires_at = envelope["nonce"], envelope["sent_at"], envelope["expires_at"]
        try:
            mac = mac_of(key, command, nonce, sent_at, expires_at, envelope["body"])
        except UnicodeEncodeError:
            mac = ""
        given = envelope["mac"].encode("utf-8", "replace")
        if not mac or not hmac.compare_digest(mac.encode(), given):
            raise _refused(command, "the signature is wrong", "is it the daemon's key, and the command's topic?")
        now = self._clock()
        if sent_at > now + SKEW or not 0 < expires_at - sent_at <= LONGEST:
            raise _refused(command, f"the envelope is not valid for {LONGEST} s at the most, from now on", "")
        if now > expires_at + SKEW:
            raise _refused(command, "the envelope is no longer valid", "send a new one")
        if sent_at <= self._earlier:
            # What this daemon does not remember an earlier one may have carried out.
            raise _refused(command, "the request is not newer than what an earlier daemon took", "send a new one")
        self._remember(command, nonce, now, expires_at)
        self.answered_until = max(self.answered_until, sent_at)

    def _remember(self, command: str, nonce: str, now: float, expires_at: int) -> None:
        if len(nonce) not in _NONCE:
            raise _refused(command, "the nonce must have 16 to 100 characters", "")
        if nonce in self._nonces:
            raise _refused(command, "the request was answered before", "send a new one, with a nonce of its own")
        self._nonces[nonce] = expires_at + SKEW
        while self._nonces and next(iter(self._nonces.values())) < now - LONGEST:
            self._nonces.popitem(last=False)


def _refused(command: str, what: str, mend: str) -> CommandRefused:
    return CommandRefused(what, where=command, mend=mend)
