"""`serve`: a configuration becomes a running daemon."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import anyio
import structlog

from fp_events import __version__, codecs
from fp_events.cache import CACHES
from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import ConfigError, FpEventsError, Problem, StorageError
from fp_events.domain.health import Watcher
from fp_events.domain.message import ConnectionStatus
from fp_events.domain.ports import ReceivedIds, Transport
from fp_events.domain.schedule import Schedule
from fp_events.failpoints import Failpoint, failpoint
from fp_events.observe.http import HttpResponder, Route
from fp_events.observe.logging import configure, register_secret
from fp_events.observe.probes import Probes
from fp_events.observe.runlog import RunLog
from fp_events.observe.systemd import notifier
from fp_events.runtime.announcements import availability
from fp_events.runtime.guard import ControlRules
from fp_events.runtime.http_door import LARGEST, PATH
from fp_events.runtime.listening import HttpAnswer, Listener
from fp_events.runtime.options import ServeInfo, ServiceOptions
from fp_events.runtime.router import Router
from fp_events.runtime.service import Service

from .building import check, folder_of, make_ledger, names_of
from .interpreter import settle
from .watching import fingerprint
from .workshop import Workshop

if TYPE_CHECKING:
    from fp_events.brokers.address import BrokerAddress
    from fp_events.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeReport:
    """What `serve` tells once it is connected and subscribed."""

    info: ServeInfo
    #: `embedded mosquitto`, `embedded amqtt`, or empty for a broker of one's own.
    embedded: str
    warnings: Sequence[Problem]


def serve(
    config: Config, *, on_ready: Callable[[ServeReport], None], fail_fast: bool = False, watch: bool = False
) -> int:
    """Run the daemon until SIGTERM or SIGINT, which drain it; a second one ends it at once. Returns the exit code.

    SIGHUP, and with `watch` every change of the project's files, swaps pipelines that have changed.

    Raises ConfigError, BrokerUnavailable (with `fail_fast`), BrokerRefused, LedgerHeld, StorageError.
    """
    problems = check(config)
    errors = [problem for problem in problems if not problem.warning]
    if errors:
        raise ConfigError.of(errors)
    warnings = [problem for problem in problems if problem.warning]
    levels = {name: p.log_level for name, p in config.pipelines.items() if p.log_level}
    configure(config.log.level, config.log.format, pipelines=levels)
    try:
        return asyncio.run(_serve(config, on_ready, warnings, fail_fast=fail_fast, watch=watch))
    except BaseExceptionGroup as group:
        raise _cause(group) from group


async def _serve(
    config: Config,
    on_ready: Callable[[ServeReport], None],
    warnings: Sequence[Problem],
    *,
    fail_fast: bool,
    watch: bool = False,
) -> int:
    signals = _Signals()
    folder = folder_of(config)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError)
        raise StorageError(
            "a file is where a folder is needed" if in_the_way else f"the folder cannot be made ({error.strerror})",
            where=str(folder),
            mend="move it away" if in_the_way else "make its parent writable",
        ) from error
    if config.mqtt.url != "embedded":
        return await _run(config, folder, None, on_ready, warnings, signals, fail_fast=fail_fast, watch=watch)
    from fp_events.brokers.embedded import EmbeddedBroker

    broker = EmbeddedBroker(folder)
    address = await broker.start()
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(broker.run, name="embedded broker")
            code = await _run(config, folder, address, on_ready, warnings, signals, fail_fast=fail_fast, watch=watch)
            tasks.cancel_scope.cancel()
        return code
    finally:
        with anyio.CancelScope(shield=True):
            await broker.stop()


class _Signals:
    """SIGTERM and SIGINT, heard before anything is started that has to be ended, such as a broker."""

    def __init__(self) -> None:
        self._service: Service | None = None
        self._asked = 0
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(NotImplementedError, ValueError):  # Windows; or not in the main thread
                self._loop.add_signal_handler(number, self._stop)

    def lead_to(self, service: Service) -> None:
        """From now on they are the service's, with those that came before; SIGHUP too."""
        self._service = service
        for _ in range(self._asked):
            service.stop()
        with suppress(NotImplementedError, ValueError, AttributeError):
            self._loop.add_signal_handler(signal.SIGHUP, service.reload)

    def _stop(self) -> None:
        if self._service is None:
            self._asked += 1
        else:
            self._service.stop()


async def _run(
    config: Config,
    folder: Path,
    address: BrokerAddress | None,
    on_ready: Callable[[ServeReport], None],
    warnings: Sequence[Problem],
    signals: _Signals,
    *,
    fail_fast: bool,
    watch: bool,
) -> int:
    log = structlog.get_logger("fp_events")
    protocol = address.protocol if address is not None and not address.durable else config.mqtt.protocol
    options = _options(config, folder, address, protocol, fail_fast=fail_fast, watch=watch)
    if address is not None and not address.durable:
        log.warning("no_delivery_promise", broker="amqtt", mend="install Mosquitto")
    embedded = f"embedded {address.kind}" if address else ""
    point = failpoint(os.environ)
    if point is not None:
        log.warning("failpoint_armed", step=point.step)
        options = _armed(options, point)
    service = Service(
        options, on_ready=lambda info: on_ready(ServeReport(info=info, embedded=embedded, warnings=warnings))
    )
    settle()
    signals.lead_to(service)
    drained = await service.run()
    log.info("stopped", drained=drained)
    return 0


def _options(
    config: Config,
    folder: Path,
    address: BrokerAddress | None,
    protocol: Literal["5", "3.1.1"],
    *,
    fail_fast: bool,
    watch: bool = False,
) -> ServiceOptions:
    log = structlog.get_logger("fp_events")

    def blocked(pipeline: str, seconds: float) -> None:
        log.warning(
            "loop_blocked", pipeline=pipeline, seconds=round(seconds, 3), mend="use executor threadpool or processpool"
        )

    def link(executor: str, problem: str) -> None:
        if problem:
            log.warning("workers_out_of_reach", executor=executor, error=problem)
        else:
            log.info("workers_in_reach", executor=executor)

    workshop = Workshop(config, blocked, link)
    ledger, ledger_path = make_ledger(config)
    runlog = RunLog()
    return ServiceOptions(
        project=config.name,
        version=__version__,
        names=names_of(config),
        protocol=protocol,
        folder=folder,
        pipelines=workshop.pipelines,
        executors=workshop.executors,
        executor_of=workshop.executor_of,
        places=workshop.places,
        versions=workshop.versions,
        inputs=workshop.inputs,
        nodes=workshop.nodes,
        ledger=ledger,
        ledger_path=ledger_path,
        retention=config.ledger.retention.policy(),
        transport=partial(_transport, config, address, protocol),
        direct_transport=partial(_direct_transport, config, address, protocol),
        formats=codecs,
        events=config.events.status,
        control={name: frozenset(allowed.inputs) for name, allowed in config.control.allow.items()}
        if config.control.mqtt
        else None,
        control_rules=_control_rules(config),
        hooks=workshop.after_commit,
        close_resources=workshop.pool.close,
        observers=(runlog.finished,),
        watchers=_watchers(config),
        http=_http(config),
        http_token=_http_token(config),
        retry_observers=(runlog.retrying,),
        read_schedules=partial(_schedules, config),
        reload=workshop.read,
        watch=partial(fingerprint, config.local_path(".")) if watch else None,
        cache=CACHES.counts,
        tick=runlog.flush,
        log=log,
        fail_fast=fail_fast,
    )


def _armed(options: ServiceOptions, point: Failpoint) -> ServiceOptions:
    """The same daemon, which will die at `point`."""
    armed = {id(executor): point.executor(executor) for executor in options.executors}
    make, direct = options.transport, options.direct_transport
    return replace(
        options,
        executors=tuple(armed.values()),
        executor_of={name: (armed[id(executor)], label) for name, (executor, label) in options.executor_of.items()},
        ledger=point.ledger(options.ledger),
        transport=lambda router, stale, on_connection, ids: point.transport(make(router, stale, on_connection, ids)),
        direct_transport=lambda router, stale, on_connection: point.transport(direct(router, stale, on_connection)),
    )


def _control_rules(config: Config) -> ControlRules:
    from fp_events.config import control_key

    control = config.control
    key = control_key(config)
    if key is not None:
        register_secret(key.decode())
    return ControlRules(
        commands=frozenset(control.commands) or None, reply_topics=control.reply_topics, rate=control.rate, key=key
    )


def _http(config: Config) -> Callable[[HttpAnswer], Listener] | None:
    address = config.http.address
    if address is None:
        return None

    def listener(answer: HttpAnswer) -> Listener:
        route = Route(answer=answer, methods=("POST",), largest_body=LARGEST)
        return HttpResponder(*address, {PATH: route}, where=config.origin("http.listen"))

    return listener


def _http_token(config: Config) -> str:
    from fp_events.config import http_token

    token = http_token(config) or ""
    if token:
        register_secret(token)
    return token


def _watchers(config: Config) -> tuple[Watcher, ...]:
    found: list[Watcher] = []
    if config.health.address is not None:
        found.append(Probes(*config.health.address, where=config.origin("health.bind")))
    systemd = notifier()
    return (*found, systemd) if systemd is not None else tuple(found)


def _schedules(config: Config) -> list[Schedule]:
    """What the project's files say of schedules now; raises ConfigError, also for what their runs could not do."""
    from fp_events import config as configuration

    now = configuration.reload(config)
    errors = [problem for problem in check(now) if not problem.warning]
    if errors:
        raise ConfigError.of(errors)
    return [schedule for pipeline in now.pipelines.values() for schedule in pipeline.schedules]


def _transport(
    config: Config,
    address: BrokerAddress | None,
    protocol: Literal["5", "3.1.1"],
    router: Router,
    stale: Sequence[str],
    on_connection: Callable[[ConnectionStatus], None],
    received_ids: ReceivedIds,
) -> Transport:
    from fp_events.transports.choice import transport_to

    names = names_of(config)
    options = replace(
        _connect_options(config, address, protocol, router, stale),
        will=availability(names, "offline"),
        greeting=(availability(names, "online"),),
    )
    return transport_to(options, on_connection=on_connection, received_ids=received_ids)


def _direct_transport(
    config: Config,
    address: BrokerAddress | None,
    protocol: Literal["5", "3.1.1"],
    router: Router,
    stale: Sequence[str],
    on_connection: Callable[[ConnectionStatus], None],
) -> Transport:
    """A second connection. The daemon has one word on whether it is there, and the first one gives it."""
    from fp_events.transports.choice import transport_to

    options = _connect_options(config, address, protocol, router, stale)
    return transport_to(replace(options, client_id=f"{options.client_id}-x"), on_connection=on_connection)


def _connect_options(
    config: Config,
    address: BrokerAddress | None,
    protocol: Literal["5", "3.1.1"],
    router: Router,
    stale: Sequence[str],
) -> ConnectOptions:
    from fp_events.config import connect_options

    options = connect_options(
        config,
        subscriptions=router.subscriptions,
        stale_filters=stale,
        host=address.host if address else None,
        port=address.port if address else None,
    )
    if options.password:
        register_secret(options.password)
    return replace(options, protocol=protocol)


def _cause(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one error that a group was raised for."""
    for error in group.exceptions:
        found = _cause(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, FpEventsError):
            return found
    first = group.exceptions[0]
    return _cause(first) if isinstance(first, BaseExceptionGroup) else first
