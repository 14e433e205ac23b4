"""A trigger as intake needs it: what has to be known of a message before it is accepted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from uuid_utils import uuid7

from fp_events.domain.errors import InputInvalid, Undecodable
from fp_events.domain.mapping import parse_path, scope_of
from fp_events.domain.message import Message
from fp_events.domain.pipeline import LONGEST_UNSAVED
from fp_events.domain.records import NewRun
from fp_events.domain.run import Cause, RunState
from fp_events.domain.templates import TemplateError
from fp_events.domain.templates import parse as parse_template

from .entry import Entry
from .formats import Formats
from .held import Held
from .lane import Lane
from .router import Target


class Aim:
    """Makes the runs of one trigger. What depends on the configuration alone is looked at once."""

    def __init__(self, target: Target, lane: Lane, formats: Formats) -> None:
        pipeline, trigger = target.pipeline, target.trigger
        self._lane = lane
        self._decode = formats.decoder(trigger.format)
        self._pipeline = pipeline.name
        self._index = target.index
        self._topic = trigger.topic
        self._expires_after = trigger.expires_after
        self._deadline = pipeline.deadline
        self._key = parse_template(trigger.key) if trigger.key else None
        self._one_key = lane.key_of(None)
        self._identity = parse_path(trigger.identity) if trigger.identity else None
        #: The payload must be decoded for key or identity.
        self._needs_payload = (self._key is not None and self._key.uses("payload")) or (
            self._identity is not None and self._identity.root == "payload"
        )
        self._reads = self._key is not None or self._identity is not None
        self.queue = lane.queues[target.index]
        #: Number of the burst in hand.
        self.burst = 0
        #: Runs of it that are claimed as they are accepted; the lane does not know of them yet.
        self._ahead = 0
        #: And how many more without a key may be.
        self._room = 0
        self._may_start = False

    def begin(self, burst: int, *, may_start: bool) -> None:
        """A new burst: nothing of it is claimed yet."""
        self.burst = burst
        self._may_start = may_start
        self._ahead = 0
        self._room = self._lane.room(self.queue) if may_start else 0

    def run(self, message: Message, captures: Mapping[str, str], now: float) -> tuple[NewRun, Entry]:
        """The run of a message, for the ledger and for memory. `now`: on the monotonic clock."""
        self.queue.received += 1
        self.queue.last_message = now
        properties = message.properties
        identity = properties.user_value("message_id") if properties.user else None
        key = self._one_key
        if self._reads:
            key, identity = self._read(message, captures, identity)
        if key is None:
            starts = self._room > self._ahead
        else:
            starts = self._may_start and self._lane.may_start(self.queue, key, self._ahead)
        if starts:
            self._ahead += 1
        created = message.received_at
        expires_in = self._expires_after
        if properties.message_expiry is not None:
            expires_in = self._expires_in(float(properties.message_expiry))
        deadline = self._deadline
        run_id = str(uuid7())
        new = NewRun(
            run_id=run_id,
            pipeline=self._pipeline,
            cause=Cause.MESSAGE,
            trigger=self._index,
            trigger_topic=self._topic,
            key=key,
            state=RunState.RUNNING if starts else RunState.QUEUED,
            captures=captures,
            created_at=created,
            expires_at=None if expires_in is None else created + timedelta(seconds=expires_in),
            deadline_at=None if deadline is None else created + timedelta(seconds=deadline),
            dedup_key=None if identity is None else f"{self._pipeline}\n{self._topic}\n{identity}",
        )
        entry = Entry(
            run_id=run_id,
            pipeline=self._pipeline,
            cause=Cause.MESSAGE,
            trigger=self._index,
            trigger_topic=self._topic,
            key=key,
            captures=captures,
            request=None,
            message=message,
            created_at=created,
            expires=None if expires_in is None else now + expires_in,
            deadline=None if deadline is None else now + deadline,
            attempt=1 if starts else 0,
            claimed=starts,
        )
        return new, entry

    def unsaved(self, message: Message, captures: Mapping[str, str], now: float, held: Held | None = None) -> Entry:
        """The run of a message that the ledger is not to know of; `held`: its delivery, where that waits for it."""
        self.queue.received += 1
        self.queue.last_message = now
        expires_in = self._expires_after
        if message.properties.message_expiry is not None:
            expires_in = self._expires_in(float(message.properties.message_expiry))
        deadline = self._deadline
        if held is not None:
            held.missing += 1
            # As long as it waits, so do all later messages of its connection.
            deadline = LONGEST_UNSAVED if deadline is None else min(deadline, LONGEST_UNSAVED)
        return Entry(
            run_id=str(uuid7()),
            pipeline=self._pipeline,
            cause=Cause.MESSAGE,
            trigger=self._index,
            trigger_topic=self._topic,
            key=self._read(message, captures, None)[0] if self._reads else self._one_key,
            captures=captures,
            request=None,
            message=message,
            created_at=message.received_at,
            expires=None if expires_in is None else now + expires_in,
            deadline=None if deadline is None else now + deadline,
            attempt=1,
            claimed=True,
            saved=False,
            delivery=held,
        )

    def _expires_in(self, given: float) -> float:
        """Seconds: the shorter of the trigger's and the publisher's word (MQTT 5, 3.3.2.3.3)."""
        return given if self._expires_after is None else min(given, self._expires_after)

    def _read(
        self, message: Message, captures: Mapping[str, str], identity: str | None
    ) -> tuple[str | None, str | None]:
        """Key and identity. Where the payload cannot be read for them there is none: the run will be REJECTED."""
        key = None if self._key is not None else self._one_key
        try:
            scope = self._scope(message, captures)
            if self._key is not None:
                key = self._key.render(scope)
            if identity is None and self._identity is not None:
                value = self._identity.get(scope)
                identity = None if value is None else str(value)
        except (Undecodable, InputInvalid, TemplateError):
            return key, identity
        return key, identity

    def _scope(self, message: Message, captures: Mapping[str, str]) -> Mapping[str, Any]:
        payload = None
        if self._needs_payload:
            payload = self._decode(message.payload, message.properties.content_type)
        return {**scope_of(payload, message, captures), "pipeline": self._pipeline}
