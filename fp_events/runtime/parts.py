"""What a running daemon is made of, and how its parts know each other."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any

from fp_events.domain.message import ConnectionStatus, Delivery
from fp_events.domain.ports import Transport
from fp_events.domain.records import Batch, Opened

from .audit import Audit
from .callbacks import Callbacks
from .commands import CommandTable
from .committer import Committer
from .destinations import describer
from .direct import DirectIntake
from .health import DaemonHealth
from .housekeeping import Housekeeping
from .http_door import HttpDoor
from .intake import SESSION, Intake
from .lane import Lane
from .listening import Listener
from .live import LiveDaemon
from .mqtt_door import MqttDoor
from .options import ServiceOptions
from .overflow import Overflow
from .pausing import restore
from .placing import Placing
from .publisher import Publisher
from .pulse import LoopPulse, WriterPulse
from .received_ids import StoredIds
from .recovery import entry_of
from .reloading import Reloader
from .routers import Routers
from .runner import Runner
from .scheduler import Scheduler
from .settlement import Settlement
from .socket_door import SocketDoor, socket_path
from .status import StatusBoard
from .teller import Teller
from .timers import Timers
from .unsaved import Unsaved

#: Setting of the ledger: `sent_at` of the newest signed request that was taken.
ANSWERED = "control_answered_until"

Role = Callable[[], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one life of a daemon."""

    options: ServiceOptions
    transport: Transport
    #: Where some trigger acknowledges when_executed.
    direct: DirectIntake | None
    unsaved: Unsaved
    committer: Committer
    publisher: Publisher
    callbacks: Callbacks
    timers: Timers
    runner: Runner
    placing: Placing
    overflow: Overflow
    intake: Intake
    housekeeping: Housekeeping
    socket: SocketDoor
    door: MqttDoor
    #: Where commands are taken by HTTP.
    http: Listener | None
    board: StatusBoard
    scheduler: Scheduler
    reloader: Reloader
    teller: Teller
    loop: LoopPulse
    writer: WriterPulse
    health: DaemonHealth

    def roles(self) -> dict[str, Role]:
        """What runs for ever beside the committer: one named task each."""
        direct: dict[str, Role] = {}
        if self.direct is not None:
            direct = {"direct transport": self.direct.transport.run, "direct intake": self.direct.run}
        return {
            **direct,
            "unsaved": self.unsaved.run,
            "transport": self.transport.run,
            "publisher": self.publisher.run,
            "intake": self.intake.run,
            "overflow": self.overflow.run,
            "states": self.runner.load_states,
            "other executors": self.placing.run,
            "timers": self.timers.run,
            "schedules": self.scheduler.run,
            "reload": self.reloader.run,
            "delayed": self.runner.delayed.run,
            "callbacks": self.callbacks.run,
            "control": self.door.run,
            "retention": self.housekeeping.prune,
            "housekeeping": self.housekeeping.run,
            "writer": self.writer.run,
        }


def assemble(o: ServiceOptions, routers: Routers, opened: Opened) -> Parts:
    """Make the parts; none of them runs yet."""
    router = routers.main
    teller = Teller(o.log, fail_fast=o.fail_fast)

    def connection_changed(status: ConnectionStatus) -> None:
        intake.connected(status)
        teller.connection(status)

    def take_command(delivery: Delivery) -> bool:
        if o.control is None or not door.is_request(delivery.message):
            return False
        # A trigger that matches the control topics too brings a second copy.
        if router.through_extra(delivery):
            door.take(delivery.message)
        return True

    committer = Committer(o.ledger)
    received_ids = StoredIds(committer, opened)
    transport = o.transport(router, routers.stale(opened, router), connection_changed, received_ids)
    unsaved = Unsaved(transport, teller.publication_refused)

    def results_wait(behind: bool) -> None:
        runner.hold_back(behind)

    publisher = Publisher(
        o.ledger,
        committer,
        transport,
        limits=o.limits,
        on_refused=teller.publication_refused,
        on_behind=results_wait,
    )
    callbacks = Callbacks(o.hooks, teller.callback_failed)
    timers = Timers()
    runner = _runner(o, committer, publisher, unsaved, callbacks, timers)
    placing = Placing(o.places, runner.collect)
    runner.place_by(placing.submit)
    restore(runner.lanes.values(), opened.settings)
    overflow = Overflow(
        o.ledger,
        runner.pending,
        take=runner.take,
        entry_of=partial(entry_of, runner=runner),
        enabled=o.ledger_path is not None,
    )
    intake = Intake(
        transport=transport,
        router=router,
        committer=committer,
        runner=runner,
        formats=o.formats,
        received_ids=received_ids,
        overflow=overflow,
        session=int(opened.settings.get(SESSION, b"0")),
        on_command=take_command,
    )
    direct = _direct(o, routers, opened, runner, unsaved, teller)
    board = StatusBoard(o, transport=transport, intake=intake, runner=runner, teller=teller)
    housekeeping = Housekeeping(o, runner=runner, intake=intake, publisher=publisher, board=board)
    scheduler = Scheduler(
        ledger=o.ledger, pipelines=o.pipelines, committer=committer, runner=runner, log=o.log, clock=o.clock
    )
    reloader = _reloader(o, runner, routers, committer, transport, intake, direct, scheduler)
    live = LiveDaemon(
        o,
        committer=committer,
        runner=runner,
        publisher=publisher,
        housekeeping=housekeeping,
        board=board,
        scheduler=scheduler,
        reloader=reloader,
    )
    table = CommandTable(o.ledger, live, o.formats.state_to_json, describer(o.pipelines, o.formats, o.names))
    audit = Audit(o.log)
    door = MqttDoor(
        names=o.names,
        table=table,
        allow=o.control or {},
        executors=lambda: o.places.types if o.places is not None else (),
        reply=publisher.tell,
        rules=o.control_rules,
        audit=audit,
        answered_until=int(opened.settings.get(ANSWERED, b"0")),
        remember=lambda until: committer.commit(Batch(settings={ANSWERED: str(until).encode()})),
    )
    board.add("control", lambda: {"mqtt": o.control is not None, "answered": door.answered, "refused": door.refused})
    board.add("schedules", scheduler.shown)
    board.add("overflow", overflow.shown)
    board.add("other_executors", placing.shown)
    board.add("reload", reloader.shown)
    board.add("hooks", callbacks.shown)
    board.add("cache", o.cache)
    loop, writer = LoopPulse(board.activity), WriterPulse(o.ledger)
    board.add("loop", loop.shown)
    board.add("ledger_writer", writer.shown)
    return Parts(
        options=o,
        transport=transport,
        direct=direct,
        unsaved=unsaved,
        committer=committer,
        publisher=publisher,
        callbacks=callbacks,
        timers=timers,
        runner=runner,
        placing=placing,
        overflow=overflow,
        intake=intake,
        housekeeping=housekeeping,
        socket=SocketDoor(socket_path(o.folder), table, audit),
        http=None if o.http is None else o.http(HttpDoor(o.http_token, table, audit).answer),
        door=door,
        board=board,
        scheduler=scheduler,
        reloader=reloader,
        teller=teller,
        loop=loop,
        writer=writer,
        health=DaemonHealth(
            ledger=o.ledger,
            connections=[(transport, lambda: router.served)]
            + ([(direct.transport, lambda: routers.direct.served)] if direct is not None else []),
            board=board,
            writer=writer,
        ),
    )


def _reloader(
    o: ServiceOptions,
    runner: Runner,
    routers: Routers,
    committer: Committer,
    transport: Transport,
    intake: Intake,
    direct: DirectIntake | None,
    scheduler: Scheduler,
) -> Reloader:
    def renew() -> None:
        intake.renew()
        if direct is not None:
            direct.renew()

    async def subscribe() -> None:
        await committer.commit(Batch(settings=routers.settings()))
        await transport.subscribe(routers.main.subscriptions)
        if direct is not None:
            await direct.transport.subscribe(routers.direct.subscriptions)

    return Reloader(o, runner=runner, routers=routers, renew=renew, subscribe=subscribe, schedule=scheduler.sync)


def _direct(
    o: ServiceOptions, routers: Routers, opened: Opened, runner: Runner, unsaved: Unsaved, teller: Teller
) -> DirectIntake | None:
    router = routers.direct
    if not router.subscriptions:
        return None

    def connection_changed(status: ConnectionStatus) -> None:
        intake.connected(status)
        teller.connection(status)

    transport = o.direct_transport(router, routers.stale(opened, router), connection_changed)
    intake = DirectIntake(transport=transport, router=router, runner=runner, formats=o.formats)
    unsaved.deliver_to(intake.acknowledge)
    return intake


def _runner(
    o: ServiceOptions,
    committer: Committer,
    publisher: Publisher,
    unsaved: Unsaved,
    callbacks: Callbacks,
    timers: Timers,
) -> Runner:
    settlement = Settlement(
        committer=committer,
        publisher=publisher,
        unsaved=unsaved,
        names=o.names,
        protocol=o.protocol,
        events=o.events,
        observers=(*o.observers, callbacks.observe),
        retry_observers=(*o.retry_observers, callbacks.observe_retry),
    )
    return Runner(
        [Lane(pipeline, o.executor_of[name][0]) for name, pipeline in o.pipelines.items()],
        ledger=o.ledger,
        committer=committer,
        settlement=settlement,
        timers=timers,
        limits=o.limits,
    )
