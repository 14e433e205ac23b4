"""The daemon: its tasks, its start, its drain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import anyio
import anyio.abc

from fp_events.domain.errors import BrokerUnavailable, CommandRefused, StorageError, UsageError
from fp_events.domain.message import ConnectionStatus, Delivery, Properties, Publication
from fp_events.domain.records import Accept, Batch, Committed, NewRun, Opened, StoredRun
from fp_events.domain.run import AttemptResult, Outcome

from .callbacks import Callbacks
from .commands import CommandTable
from .committer import Committer
from .intake import SESSION, Intake, entry_of_new
from .lane import Lane
from .mqtt_door import MqttDoor
from .names import Names
from .options import ServeInfo, ServiceOptions
from .patience import passing
from .publisher import Publisher
from .recovery import Recovered, obstacle, recover, take_reopened
from .router import Router
from .runner import Runner
from .settlement import Settlement
from .socket_door import SocketDoor, socket_path
from .status import StatusBoard
from .timers import Timers

#: Settings under which operators' pauses and the broker's subscriptions are remembered.
PAUSED = "paused:"
SUBSCRIPTIONS = "broker.subscriptions"

#: Seconds between prunings, and between looks at whether a pipeline's retained state is to be published anew.
PRUNE_EVERY = 60.0
STATE_EVERY = 5.0
#: Seconds for what is durable to be published at a drain, and for the goodbye.
FAREWELL = 5.0


class Service:
    """One daemon. `run` returns when it has drained."""

    def __init__(self, options: ServiceOptions, *, on_ready: Callable[[ServeInfo], None] = lambda _: None) -> None:
        self._o = options
        self._on_ready = on_ready
        self._stop = asyncio.Event()
        self._stop_now = asyncio.Event()
        self._router = Router(
            options.pipelines.values(),
            protocol=options.protocol,
            extra=(options.names.control,) if options.control is not None else (),
        )
        self._published_states: dict[str, bytes] = {}
        #: One at a time checks whether the id that a caller gave is free.
        self._naming = asyncio.Lock()

    # -- signals

    def stop(self) -> None:
        """Drain, then end. Called again: end at once."""
        if self._stop.is_set():
            self._stop_now.set()
        self._stop.set()

    # -- life

    async def run(self) -> bool:
        """Serve until `stop`; True if everything that ran could end."""
        o = self._o
        opened = await o.ledger.open()
        try:
            self._build(opened)
            async with anyio.create_task_group() as roles:
                roles.start_soon(self._committer.run, name="committer")
                drained = await self._serve(opened, roles)
                roles.cancel_scope.cancel()
            return drained
        finally:
            with anyio.CancelScope(shield=True):
                for executor in o.executors:
                    await executor.close(0.0)
                await o.ledger.close()

    def _build(self, opened: Opened) -> None:
        o = self._o
        stale = _stale_filters(opened, self._router)
        self._transport = o.transport(self._router, stale, self._connection_changed)
        self._committer = Committer(o.ledger)
        self._publisher = Publisher(
            o.ledger, self._committer, self._transport, limits=o.limits, on_refused=self._publication_refused
        )
        self._callbacks = Callbacks(o.on_success, o.on_failure, self._callback_failed)
        self._settlement = Settlement(
            committer=self._committer,
            publisher=self._publisher,
            names=o.names,
            protocol=o.protocol,
            events=o.events,
            observers=(*o.observers, self._callbacks.observe),
            retry_observers=o.retry_observers,
        )
        self._timers = Timers()
        self._runner = Runner(
            [Lane(pipeline, o.executor_of[name][0]) for name, pipeline in o.pipelines.items()],
            ledger=o.ledger,
            committer=self._committer,
            settlement=self._settlement,
            timers=self._timers,
            limits=o.limits,
        )
        for name, lane in self._runner.lanes.items():
            lane.paused = f"{PAUSED}{name}" in opened.settings
        table = CommandTable(o.ledger, self, o.formats.state_to_json)
        self._socket = SocketDoor(socket_path(o.folder), table)
        self._door = MqttDoor(names=o.names, table=table, allow=o.control or {}, reply=self._publisher.tell)
        self._intake = Intake(
            transport=self._transport,
            router=self._router,
            committer=self._committer,
            runner=self._runner,
            formats=o.formats,
            session=int(opened.settings.get(SESSION, b"0")),
            on_command=self._take_command,
        )
        self._board = StatusBoard(
            o, transport=self._transport, intake=self._intake, runner=self._runner, door=self._door
        )

    def _take_command(self, delivery: Delivery) -> bool:
        if self._o.control is None or not self._door.is_request(delivery.message):
            return False
        # A trigger that matches the control topics too brings a second copy.
        if self._router.through_extra(delivery):
            self._door.take(delivery.message)
        return True

    async def _serve(self, opened: Opened, roles: anyio.abc.TaskGroup) -> bool:
        o = self._o
        filters = "\n".join(s.filter for s in self._router.subscriptions).encode()
        await self._committer.commit(Batch(settings={SUBSCRIPTIONS: filters}))
        for executor in o.executors:
            await executor.start()
            roles.start_soon(self._runner.collect, executor, name=f"collect:{type(executor).__name__}")
        found = await recover(o.ledger, self._runner)
        self._tell_recovered(found)
        await self._socket.open()
        try:
            for name, role in self._roles(opened, found).items():
                roles.start_soon(role, name=name)
            await self._stop.wait()
            return await self._drain()
        finally:
            with anyio.CancelScope(shield=True):
                await self._socket.close()

    def _roles(self, opened: Opened, found: Recovered) -> dict[str, Callable[[], Coroutine[Any, Any, None]]]:
        async def start_runs() -> None:
            await self._runner.recover(found.suspects)
            self._runner.open()

        return {
            "ready": partial(self._ready, opened, found),
            "transport": self._transport.run,
            "publisher": self._publisher.run,
            "intake": self._intake.run,
            "states": self._runner.load_states,
            "timers": self._timers.run,
            "callbacks": self._callbacks.run,
            "control": self._door.run,
            "recovery": start_runs,
            "retention": self._prune,
            "housekeeping": self._housekeep,
        }

    async def _ready(self, opened: Opened, found: Recovered) -> None:
        await self._transport.connected()
        status = self._transport.status()
        served = self._router.served
        self._on_ready(
            ServeInfo(
                address=status.address,
                subscriptions=[
                    (text, granted, served.get(text, ())) for text, granted in sorted(status.granted.items())
                ],
                ledger=str(self._o.ledger_path or "memory"),
                queued=found.queued,
                waiting=found.waiting,
                interrupted=len(found.suspects),
                unsent=opened.unsent,
                socket=str(self._socket.path),
                control=self._o.control is not None,
            )
        )

    async def _drain(self) -> bool:
        """Take nothing more in, let attempts end, publish what is durable, say goodbye."""
        self._board.draining = True
        self._intake.stop()
        self._o.log.info("draining", running=self._runner.executing)
        self._publisher.tell(self._availability("draining"))
        drained = False

        async def finish_work() -> None:
            nonlocal drained
            drained = await self._runner.drain(self._o.grace)
            with anyio.move_on_after(FAREWELL):
                await self._hand_over()
            working.cancel_scope.cancel()

        async with anyio.create_task_group() as working:
            working.start_soon(finish_work, name="drain")
            await self._stop_now.wait()
            working.cancel_scope.cancel()
        with anyio.move_on_after(1.0 if self._stop_now.is_set() else FAREWELL):
            await self._transport.close((self._availability("offline"),))
        return drained

    async def _hand_over(self) -> None:
        """Wait until what has ended is durable, published and told."""
        await self._committer.flushed()
        if self._transport.status().connected:
            await self._publisher.emptied()
            self._intake.confirm()
            await self._committer.flushed()
        await self._callbacks.emptied()

    # -- what happens beside the messages

    def _connection_changed(self, status: ConnectionStatus) -> None:
        self._intake.connected(status)
        log = self._o.log
        if status.connected:
            log.info("connected", broker=status.address, session_present=status.session_present)
            for text, code in status.granted.items():
                if code >= 0x80:
                    error = _subscription_refused(status.address, text, code)
                    log.warning("subscription_refused", filter=text, reason_code=code, error=error)
            return
        log.warning("disconnected" if status.connections else "broker_unavailable", broker=status.address,
                    error=status.last_error)  # fmt: skip
        if self._o.fail_fast and not status.connections:
            # The transport's sentence names the address and the mend itself.
            raise BrokerUnavailable(status.last_error or f"{status.address}: no answer")

    def _publication_refused(self, publication: Publication, reason: str) -> None:
        self._board.refused += 1
        self._o.log.warning(
            "publication_refused", topic=publication.topic, event_id=publication.event_id, reason=reason
        )

    def _callback_failed(self, record: Any, error: BaseException) -> None:
        self._o.log.warning(
            "callback_failed", pipeline=record.pipeline, run_id=record.run_id, error=f"{type(error).__name__}: {error}"
        )

    def _tell_recovered(self, found: Recovered) -> None:
        log = self._o.log
        if found.suspects or found.queued or found.waiting:
            log.info("recovered", interrupted=len(found.suspects), queued=found.queued, waiting=found.waiting)
        if found.poison:
            log.warning("poison_runs_failed", runs=found.poison)
        for pipeline, count in found.homeless.items():
            log.warning("runs_without_pipeline", pipeline=pipeline, runs=count)

    async def _prune(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_EVERY)
            try:
                pruned = await self._o.ledger.prune(self._o.retention, datetime.now(UTC))
            except StorageError as error:
                if not passing(error):
                    raise
                self._o.log.warning("pruning_failed", error=str(error))
                continue
            if pruned:
                self._o.log.info("pruned", runs=pruned)

    async def _housekeep(self) -> None:
        """Rates, log lines, the confirmed mark, retained states."""
        seconds = 0
        while True:
            self._board.sample()
            self._o.tick()
            self._intake.confirm()
            if seconds % STATE_EVERY == 0:
                self._publish_states()
            seconds += 1
            await asyncio.sleep(1.0)

    def _publish_states(self) -> None:
        for name, lane in self._runner.lanes.items():
            body = json.dumps(self._board.pipeline(name, lane)).encode()
            if self._published_states.get(name) != body:
                self._published_states[name] = body
                self._publisher.tell(_retained(self._o.names.state(name), body))

    def _availability(self, text: str) -> Publication:
        return availability(self._o.names, text)

    # -- Live: what commands need

    @property
    def pipelines(self) -> Mapping[str, frozenset[str]]:
        """Pipelines by name, with the inputs that each knows."""
        return self._o.inputs

    async def commit(self, batch: Batch) -> Committed:
        """Commit through the daemon's group commit."""
        return await self._committer.commit(batch)

    async def pause(self, pipeline: str, paused: bool) -> None:
        """Stop or let go on the starting of runs; durable."""
        await self.commit(Batch(settings={f"{PAUSED}{pipeline}": b"1" if paused else None}))
        lane = self._runner.lanes[pipeline]
        lane.paused = paused
        self._o.log.info("paused" if paused else "resumed", pipeline=pipeline)
        self._runner.pump_all()
        self._publish_states()

    def obstacle(self, run: StoredRun) -> str:
        """Why a run cannot be taken up again; empty where it can."""
        return obstacle(run, self._runner)

    def take_reopened(self, run: StoredRun) -> None:
        """Run what was reopened."""
        take_reopened(run, self._runner)

    def resend(self) -> None:
        """Publish what has become unsent again."""
        self._publisher.look()

    def reset_state(self, pipeline: str, key: str) -> None:
        """Forget the state of a key that is in memory."""
        if pipeline in self._runner.lanes:
            self._runner.reset_state(pipeline, key)

    async def submit(self, run: NewRun, *, may_be_known: bool) -> bool:
        """Accept a run, durably; False where its id is known already."""
        if self._board.draining:
            raise CommandRefused("the daemon is draining", where="run", mend="send it to the next one")
        if self._runner.pending.full:
            raise CommandRefused("the daemon holds as many runs as it may", where="run", mend="send it again later")
        if not may_be_known:
            await self._accept(run)
            return True
        async with self._naming:
            if await self._is_known(run.run_id):
                return False
            await self._accept(run)
        return True

    async def _is_known(self, run_id: str) -> bool:
        try:
            found = await self._o.ledger.run(run_id)
        except UsageError:
            return False  # several runs begin with it, and none is it
        return found is not None and found.run_id == run_id

    async def _accept(self, run: NewRun) -> None:
        lane = self._runner.lanes[run.pipeline]
        deadline = lane.pipeline.deadline
        deadline_at = None if deadline is None else run.created_at + timedelta(seconds=deadline)
        run = replace(run, key=lane.key_of(run.key), deadline_at=deadline_at)
        await self.commit(Batch(accepts=(Accept(message=None, runs=(run,)),)))
        self._runner.take([entry_of_new(run)])

    def when_ended(self, run_id: str, call: Callable[[Outcome, AttemptResult | None], None]) -> bool:
        """Have `call` called when the run has ended; False where it has already."""
        return self._runner.pending.when_ended(run_id, call)

    async def status(self) -> dict[str, Any]:
        """The whole of `status`."""
        return await self._board.whole()


def _subscription_refused(address: str, text: str, code: int) -> str:
    """The broker's reason code (MQTT 5, 3.9.3) as a sentence; 0x80 is all that 3.1.1 knows."""
    known = {0x80: "no reason given", 0x87: "not authorized", 0x9E: "it has no shared subscriptions"}
    reason = known.get(code, f"reason code 0x{code:02X}")
    mend = "give this user the right to it, or correct the trigger's topic; no message of it will come until then"
    return f"{address}: the broker refuses the subscription to {text} ({reason}); {mend}"


def availability(names: Names, text: str) -> Publication:
    """The retained word on whether this instance is there; `offline` is also the last will."""
    return Publication(event_id="", topic=names.availability, payload=text.encode(), qos=1, retain=True)


def _retained(topic: str, body: bytes) -> Publication:
    return Publication(
        event_id="",
        topic=topic,
        payload=body,
        qos=1,
        retain=True,
        properties=Properties(content_type="application/json"),
    )


def _stale_filters(opened: Opened, router: Router) -> list[str]:
    """Filters that an earlier start subscribed and that nothing wants any more."""
    before = opened.settings.get(SUBSCRIPTIONS, b"").decode().splitlines()
    return [text for text in before if text not in router.served]
