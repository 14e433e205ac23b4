"""From the transport to the ledger: accept, then acknowledge."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import anyio
from uuid_utils import uuid7

from fp_events.domain.errors import InputInvalid, Undecodable
from fp_events.domain.mapping import Path, parse_path, scope_of
from fp_events.domain.message import ConnectionStatus, Delivery, Message
from fp_events.domain.pipeline import Trigger
from fp_events.domain.ports import Transport
from fp_events.domain.records import Accept, Accepted, Batch, NewRun, StoredRun, TransportKey
from fp_events.domain.run import Cause, RunState
from fp_events.domain.templates import Template, TemplateError
from fp_events.domain.templates import parse as parse_template

from .committer import Committer
from .entry import Entry
from .handler import Formats
from .router import Router, Target
from .runner import Runner

T = TypeVar("T")

#: Messages of one commit, and their bytes.
PART = 1_000
PART_BYTES = 4 * 1024 * 1024
#: Setting under which the number of the broker's session is remembered.
SESSION = "broker.session"


@dataclass(frozen=True, slots=True)
class _Reading:
    """What has to be known of a message before it is accepted: its key and its identity."""

    key: Template | None
    identity: Path | None
    #: The payload must be decoded for it.
    needs_payload: bool


class Intake:
    """Receives, matches, has the ledger accept, acknowledges, and hands the new runs to the runner."""

    def __init__(
        self,
        *,
        transport: Transport,
        router: Router,
        committer: Committer,
        runner: Runner,
        formats: Formats,
        session: int,
        on_command: Callable[[Delivery], bool],
    ) -> None:
        self._transport = transport
        self._router = router
        self._committer = committer
        self._runner = runner
        self._formats = formats
        self._session = session
        self._on_command = on_command
        self._readings: dict[tuple[str, int], _Reading] = {}
        #: (delivery, message row) of what was acknowledged and is not yet known to be processed.
        self._unconfirmed: deque[tuple[int, int]] = deque()
        self._stopped = False
        self._waiting = anyio.CancelScope()
        #: Messages since the start, and those that no trigger wanted.
        self.received = 0
        self.unmatched = 0

    def connected(self, status: ConnectionStatus) -> None:
        """Called at every connect and loss: a lost session makes older packet ids mean nothing."""
        if status.connected and not status.session_present:
            self._session += 1
            self._committer.post(Batch(settings={SESSION: str(self._session).encode()}))

    async def run(self) -> None:
        """Take messages in until `stop`; what has begun to be accepted is also acknowledged."""
        while await self._unless_stopped(self._room):
            burst = await self._unless_stopped(self._transport.receive)
            for part in _parts(burst or ()):
                if not await self._unless_stopped(self._room):
                    return  # not acknowledged: it comes again
                await self._accept(part)

    async def _room(self) -> bool:
        await self._runner.pending.room()
        return True

    async def _unless_stopped(self, wait: Callable[[], Awaitable[T]]) -> T | None:
        found: T | None = None
        with anyio.CancelScope() as self._waiting:
            if not self._stopped:
                found = await wait()
        return found

    def stop(self) -> None:
        """Take nothing more in."""
        self._stopped = True
        self._waiting.cancel()

    def confirm(self) -> None:
        """Make durable which messages cannot come again, where no later message has done it."""
        confirmed = self._confirmed()
        if confirmed is not None:
            self._committer.post(Batch(confirmed_message_id=confirmed))

    async def _accept(self, burst: Sequence[Delivery]) -> None:
        accepts: list[Accept] = []
        entries: list[dict[str, Entry]] = []
        deliveries: list[Delivery] = []
        claimed: dict[tuple[str, int], int] = {}
        for delivery in burst:
            self.received += 1
            if self._on_command(delivery):
                continue
            targets = self._router.match(delivery)
            if not targets:
                self.unmatched += 1
                continue
            accept, new = self._new(delivery, targets, claimed)
            accepts.append(accept)
            entries.append(new)
            deliveries.append(delivery)
        confirmed = self._confirmed()
        if accepts or confirmed is not None:
            committed = await self._committer.commit(Batch(accepts=tuple(accepts), confirmed_message_id=confirmed))
            taken: list[Entry] = []
            for accepted, new, delivery in zip(committed.accepted, entries, deliveries, strict=True):
                self._note(accepted, new, delivery)
                taken.extend(new[run_id] for run_id in accepted.run_ids)
            self._transport.acknowledge(burst)
            self._runner.take(taken)
        else:
            self._transport.acknowledge(burst)

    def _note(self, accepted: Accepted, new: Mapping[str, Entry], delivery: Delivery) -> None:
        for run_id in accepted.duplicates:
            entry = new.get(run_id)
            if entry is not None and entry.trigger is not None:
                self._runner.lanes[entry.pipeline].queues[entry.trigger].duplicates += 1
        if delivery.packet_id and accepted.message_id:
            self._unconfirmed.append((delivery.number, accepted.message_id))

    def _confirmed(self) -> int | None:
        """The last message row whose acknowledgement the broker has processed, if that is news."""
        mark = self._transport.confirmed
        row: int | None = None
        while self._unconfirmed and self._unconfirmed[0][0] <= mark:
            row = self._unconfirmed.popleft()[1]
        return row

    def _new(
        self,
        delivery: Delivery,
        targets: list[tuple[Target, Mapping[str, str]]],
        claimed: dict[tuple[str, int], int],
    ) -> tuple[Accept, dict[str, Entry]]:
        message = delivery.message
        now = time.monotonic()
        runs: list[NewRun] = []
        entries: dict[str, Entry] = {}
        for target, captures in targets:
            run, entry = self._new_run(target, captures, message, now, claimed)
            runs.append(run)
            entries[run.run_id] = entry
        key = TransportKey(self._session, delivery.packet_id) if delivery.packet_id else None
        redelivered = delivery.duplicate and delivery.packet_id > 0
        return Accept(message=message, runs=tuple(runs), transport_key=key, redelivered=redelivered), entries

    def _new_run(
        self,
        target: Target,
        captures: Mapping[str, str],
        message: Message,
        now: float,
        claimed: dict[tuple[str, int], int],
    ) -> tuple[NewRun, Entry]:
        pipeline, trigger = target.pipeline, target.trigger
        lane = self._runner.lanes[pipeline.name]
        queue = lane.queues[target.index]
        queue.received += 1
        queue.last_message = now
        key, identity = self._read(target, message, captures)
        if trigger.key is None:
            key = lane.key_of(None)
        place = (pipeline.name, target.index)
        ahead = claimed.get(place, 0)
        # Runs of this burst are not in the lane yet: they are counted beside it.
        starts = ahead < queue.limit and self._runner.may_start(pipeline, target.index, key, ahead)
        if starts:
            claimed[place] = ahead + 1
        expires_in = _expiry(trigger, message)
        run = NewRun(
            run_id=str(uuid7()),
            pipeline=pipeline.name,
            cause=Cause.MESSAGE,
            trigger=target.index,
            trigger_topic=trigger.topic,
            key=key,
            state=RunState.RUNNING if starts else RunState.QUEUED,
            captures=captures,
            created_at=message.received_at,
            expires_at=None if expires_in is None else message.received_at + timedelta(seconds=expires_in),
            deadline_at=None
            if pipeline.deadline is None
            else message.received_at + timedelta(seconds=pipeline.deadline),
            dedup_key=None if identity is None else f"{pipeline.name}\n{trigger.topic}\n{identity}",
        )
        entry = Entry(
            run_id=run.run_id,
            pipeline=pipeline.name,
            cause=Cause.MESSAGE,
            trigger=target.index,
            trigger_topic=trigger.topic,
            key=key,
            captures=captures,
            request=None,
            message=message,
            created_at=run.created_at,
            expires=None if expires_in is None else now + expires_in,
            deadline=None if pipeline.deadline is None else now + pipeline.deadline,
            attempt=1 if starts else 0,
            claimed=starts,
        )
        return run, entry

    def _read(self, target: Target, message: Message, captures: Mapping[str, str]) -> tuple[str | None, str | None]:
        """Key and identity. Where the payload cannot be read for them there is none: the run will be REJECTED."""
        reading = self._readings.get((target.pipeline.name, target.index))
        if reading is None:
            reading = _reading(target.trigger)
            self._readings[target.pipeline.name, target.index] = reading
        identity = message.properties.user_value("message_id") if message.properties.user else None
        if reading.key is None and reading.identity is None:
            return None, identity
        key = None
        try:
            scope = self._scope(reading, target, message, captures)
            if reading.key is not None:
                key = reading.key.render(scope)
            if identity is None and reading.identity is not None:
                value = reading.identity.get(scope)
                identity = None if value is None else str(value)
        except (Undecodable, InputInvalid, TemplateError):
            return key, identity
        return key, identity

    def _scope(
        self, reading: _Reading, target: Target, message: Message, captures: Mapping[str, str]
    ) -> Mapping[str, Any]:
        payload = None
        if reading.needs_payload:
            payload = self._formats.decode(
                message.payload, format=target.trigger.format, content_type=message.properties.content_type
            )
        return {**scope_of(payload, message, captures), "pipeline": target.pipeline.name}


def _parts(burst: Sequence[Delivery]) -> Iterator[Sequence[Delivery]]:
    """The burst in parts: the loop has its turn between them, and what is held stays bounded."""
    start = size = 0
    for index, delivery in enumerate(burst, start=1):
        size += len(delivery.message.payload)
        if index == len(burst) or index - start >= PART or size >= PART_BYTES:
            yield burst[start:index]
            start, size = index, 0


def _reading(trigger: Trigger) -> _Reading:
    key = parse_template(trigger.key) if trigger.key else None
    identity = parse_path(trigger.identity) if trigger.identity else None
    needs = (key is not None and key.uses("payload")) or (identity is not None and identity.root == "payload")
    return _Reading(key, identity, needs)


def _expiry(trigger: Trigger, message: Message) -> float | None:
    """Seconds the message stays valid: the shorter of the trigger's and the publisher's word (MQTT 5, 3.3.2.3.3)."""
    given = message.properties.message_expiry
    if given is None:
        return trigger.expires_after
    return float(given) if trigger.expires_after is None else min(float(given), trigger.expires_after)


def entry_of_new(run: NewRun) -> Entry:
    """A run that no message caused, as it was just accepted: QUEUED."""
    left = None if run.deadline_at is None else (run.deadline_at - datetime.now(UTC)).total_seconds()
    return Entry(
        run_id=run.run_id,
        pipeline=run.pipeline,
        cause=run.cause,
        trigger=None,
        trigger_topic="",
        key=run.key,
        captures={},
        request=run.request,
        message=None,
        created_at=run.created_at,
        deadline=None if left is None else time.monotonic() + left,
    )


def entry_of_stored(stored: StoredRun, trigger: int | None) -> Entry:
    """A run that the ledger has from an earlier time, as an entry; `trigger`: its index today."""
    now, wall = time.monotonic(), datetime.now(UTC)

    def monotonic(at: datetime | None) -> float | None:
        return None if at is None else now + (at - wall).total_seconds()

    return Entry(
        run_id=stored.run_id,
        pipeline=stored.pipeline,
        cause=stored.cause,
        trigger=trigger,
        trigger_topic=stored.trigger_topic,
        key=stored.key,
        captures=stored.captures,
        request=stored.request,
        message=stored.message,
        created_at=stored.created_at,
        # Once an attempt was made, a later one is not too old.
        expires=None if stored.attempts else monotonic(stored.expires_at),
        deadline=monotonic(stored.deadline_at),
        attempt=stored.attempt,
        retries=sum(1 for attempt in stored.attempts if attempt.number > stored.attempt_base),
    )
