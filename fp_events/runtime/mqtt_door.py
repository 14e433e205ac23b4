"""The command table on control topics: off unless configured, and narrower than the socket.

    <base>/control/<command>   {"sent_at": 1700000000 | "2026-01-01T00:00:00Z", ...arguments}
    reply                      to the response topic with its correlation data, else to <base>/reply/<command>

Retained requests are ignored. What changes something must say when it was sent, and is refused when it is old:
a broker may keep a request for hours. `run` takes the pipelines and inputs that the configuration allows; see `guard`
for what else it may ask of a request.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from fp_events.domain.errors import CommandRefused, FpEventsError
from fp_events.domain.message import Message, Properties, Publication
from fp_events.domain.topics import validate_topic

from .audit import Audit
from .commands import COMMANDS, MOST, CommandTable
from .guard import ControlRules, Guard
from .names import Names
from .socket_door import error_body

#: Seconds after which a request is too old, or too far in the future.
OLDEST = 60.0
#: Bytes of a request.
LARGEST = 1024 * 1024
#: Requests waiting to be answered; more are refused.
QUEUE = 1000
#: Commands that start runs, now or by the clock.
_STARTING = frozenset({"run", "schedules.add"})
#: Rows of a reply, so that it fits a packet.
MOST_ROWS = 100


class MqttDoor:
    """Answers requests that arrive as messages, one after another."""

    def __init__(
        self,
        *,
        names: Names,
        table: CommandTable,
        allow: Mapping[str, frozenset[str] | None],
        executors: Callable[[], Collection[str]] = tuple,
        reply: Callable[[Publication], None],
        rules: ControlRules,
        audit: Audit,
        answered_until: int = 0,
        remember: Callable[[int], Awaitable[object]],
    ) -> None:
        """`allow`: pipelines that `run` may start, each with the inputs it may be given; None: all of them.

        `executors`: types that it may ask for.

        `answered_until`: what `remember` made durable last: when the newest signed request was sent that was taken.
        """
        self._names = names
        self._table = table
        self._allow = allow
        self._executors = executors
        self._reply = reply
        self._guard = Guard(rules, reply_base=f"{names.base}/reply", answered_until=answered_until)
        self._remember = remember
        self._remembered = answered_until
        self._audit = audit
        self._requests: asyncio.Queue[tuple[str, Message]] = asyncio.Queue()
        #: Requests whose run is waited for.
        self._waiting = 0
        #: Requests answered and refused since the start.
        self.answered = 0
        self.refused = 0

    def is_request(self, message: Message) -> bool:
        """Whether `take` is for it."""
        return self._names.control_command(message.topic) is not None

    def take(self, message: Message) -> None:
        """Take a request; retained ones are ignored."""
        name = self._names.control_command(message.topic)
        if name is None or message.retain:
            return
        if self._waiting + self._requests.qsize() >= QUEUE:
            self.refused += 1
            busy = CommandRefused("too many requests are waiting", where=name, mend="send it again later")
            self._send(name, message, {"ok": False, "error": error_body(busy)})
        else:
            self._requests.put_nowait((name, message))

    async def run(self) -> None:
        """Answer for ever. A run that is waited for does not hold up the others."""
        async with asyncio.TaskGroup() as waiting:
            while True:
                name, message = await self._requests.get()
                if name == "runs.wait" or _waits(message):
                    self._waiting += 1
                    waiting.create_task(self._answer_later(name, message), name=f"control:{name}")
                else:
                    await self._answer(name, message)

    async def _answer_later(self, name: str, message: Message) -> None:
        try:
            await self._answer(name, message)
        finally:
            self._waiting -= 1

    async def _answer(self, name: str, message: Message) -> None:
        request: dict[str, Any] = {}
        try:
            self._guard.admit(name, message.properties.response_topic)
            request = self._guard.open(name, _parse(name, message))
            await self._mark()
            result = await self._table.call(name, self._checked(name, request), startable=self._allow)
            self.answered += 1
            self._audit.done("mqtt", _who(message), name, request)
            body: dict[str, Any] = {"ok": True, "result": result}
        except FpEventsError as error:
            self.refused += 1
            self._audit.refused("mqtt", _who(message), name, request, str(error))
            body = {"ok": False, "error": error_body(error)}
        self._send(name, message, body)

    async def _mark(self) -> None:
        """A signed request is not carried out again by the next daemon: that is durable before it is by this one."""
        until = self._guard.answered_until
        if until > self._remembered:
            await self._remember(until)
            self._remembered = max(self._remembered, until)

    def _checked(self, name: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of a request, if it may be answered."""
        request = dict(asked)
        sent_at = request.pop("sent_at", None)
        request.pop("id", None)
        command = COMMANDS.get(name)
        if command is not None and command.changes:
            _check_age(name, sent_at)
        limit = request.get("limit", MOST_ROWS)
        if command is not None and "limit" in command.arguments and limit in range(MOST_ROWS, MOST + 1):
            request["limit"] = MOST_ROWS
        if name in _STARTING:
            self._check_run(name, request)
        return request

    def _check_run(self, command: str, request: dict[str, Any]) -> None:
        pipeline = request.get("pipeline")
        if not isinstance(pipeline, str) or pipeline not in self._allow:
            raise CommandRefused(
                f"pipeline '{pipeline}' may not be started by MQTT", where=command, mend="name it under control.allow"
            )
        allowed = self._allow[pipeline]
        inputs = request.get("inputs") or {}
        if not isinstance(inputs, dict):
            raise CommandRefused("'inputs' must be an object", where=command)
        for name in inputs:
            if allowed is not None and name not in allowed:
                raise CommandRefused(
                    f"input '{name}' of '{pipeline}' may not be given by MQTT",
                    where=command,
                    mend=f"name it under control.allow.{pipeline}.inputs",
                )
        for name in ("config", "final_vars"):
            if request.get(name):
                what = f"'{name}' may not be given by MQTT"
                raise CommandRefused(what, where=command, mend="use the control socket")
        adapters = request.get("with_adapter")
        turned = adapters.values() if isinstance(adapters, dict) else (adapters,)
        if adapters is not None and any(on is not False for on in turned):
            what = "'with_adapter' may only turn adapters off by MQTT"
            raise CommandRefused(what, where=command, mend="use the control socket, or the pipeline's file")
        executor = request.get("executor")
        if executor is not None and (not isinstance(executor, str) or executor not in self._executors()):
            raise CommandRefused(
                "'executor' must be a type that this project's pipelines use, when it is given by MQTT",
                where=command,
                mend=f"there are: {', '.join(sorted(self._executors())) or 'none'}",
            )

    def _send(self, name: str, message: Message, body: dict[str, Any]) -> None:
        number = _loose(message).get("id")
        if isinstance(number, str | int):
            body = {"id": number, **body}
        topic = message.properties.response_topic or self._names.reply(name)
        if not self._guard.may_reply(topic):
            topic = self._names.reply(name)
        try:
            validate_topic(topic)
        except ValueError:
            topic = self._names.reply("invalid")
        self._reply(
            Publication(
                event_id="",
                topic=topic,
                payload=json.dumps({"command": name, **body}).encode(),
                qos=1,
                properties=Properties(
                    content_type="application/json", correlation_data=message.properties.correlation_data
                ),
            )
        )


def _parse(name: str, message: Message) -> dict[str, Any]:
    if len(message.payload) > LARGEST:
        raise CommandRefused(f"the request is larger than {LARGEST} bytes", where=name)
    try:
        request = json.loads(message.payload or b"{}", parse_constant=_no_constant)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise CommandRefused("the request is not a JSON object", where=name)
    return request


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def _loose(message: Message) -> dict[str, Any]:
    try:
        return _parse("", message)
    except CommandRefused:
        return {}


def _who(message: Message) -> str:
    """Where the reply goes, and its correlation data: all that MQTT tells of who asks."""
    properties = message.properties
    correlation = properties.correlation_data
    return " ".join(filter(None, (properties.response_topic, correlation.hex() if correlation else "")))


def _waits(message: Message) -> bool:
    request = _loose(message)
    body = request.get("body")
    # Within an envelope it is text.
    return request.get("wait") is True or (isinstance(body, str) and '"wait"' in body)


def _check_age(name: str, sent_at: object) -> None:
    if isinstance(sent_at, int | float) and not isinstance(sent_at, bool):
        # Compared before anything is computed: JSON has numbers that no float can hold.
        now = datetime.now(UTC).timestamp()
        age = now - sent_at if abs(sent_at) < 2 * now else float("inf")
    elif isinstance(sent_at, str):
        try:
            moment = datetime.fromisoformat(sent_at)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise CommandRefused("'sent_at' is neither seconds since 1970 nor a time with its zone", where=name)
        age = (datetime.now(UTC) - moment).total_seconds()
    else:
        raise CommandRefused("'sent_at' is missing", where=name, mend="give the time of sending, e.g. 1767225600")
    if not abs(age) <= OLDEST:
        raise CommandRefused(
            f"the request was sent {age:.0f} s ago, more than {OLDEST:.0f}", where=name, mend="send it again"
        )
