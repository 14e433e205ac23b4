"""A short-lived MQTT connection, for a command or a call."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import BrokerRefused, BrokerUnavailable
from fp_events.domain.message import Confirmed, ConnectionStatus, Message, Publication, Subscription
from fp_events.domain.ports import Transport

if TYPE_CHECKING:
    from fp_events.config import Config

#: Seconds a command waits for the broker.
PATIENCE = 10.0


def base_topic(config: Config) -> str:
    """Where the daemon's own topics begin."""
    return config.mqtt.base_topic or f"fp/{config.name}"


def options_for(config: Config, subscriptions: Sequence[Subscription] = ()) -> ConnectOptions:
    """The project's connection, without the daemon's identity, session, will and greeting."""
    from .building import broker_address

    return replace(
        broker_address(config),
        client_id=f"fp-cli-{secrets.token_hex(4)}",
        session_expiry=0,
        subscriptions=tuple(subscriptions),
        stale_filters=(),
        will=None,
        greeting=(),
    )


@asynccontextmanager
async def connected(options: ConnectOptions, *, patience: float = PATIENCE) -> AsyncIterator[Transport]:
    """A transport whose subscriptions are made; closed on leaving.

    Raises BrokerUnavailable at the first failure and after `patience` seconds, BrokerRefused where the broker says no.
    """
    import anyio

    from fp_events.transports.choice import transport_to

    def changed(status: ConnectionStatus) -> None:
        if not status.connected and not status.connections and status.last_error:
            # The transport would try for ever; somebody at a terminal wants to know now.
            waiting.cancel()

    waiting = anyio.CancelScope()
    transport = transport_to(options, on_connection=changed)
    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(transport.run)
            with waiting:
                waiting.deadline = anyio.current_time() + patience
                await transport.connected()
            if waiting.cancelled_caught:
                raise _unavailable(transport, options, patience)
            try:
                yield transport
            finally:
                with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                    await transport.close()
                tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _only(group) from group.__cause__


async def send(transport: Transport, burst: Sequence[Publication]) -> None:
    """Publish until the broker has answered for all of them. Raises BrokerUnavailable, BrokerRefused."""
    import anyio

    waiting = list(burst)
    while waiting:
        with anyio.move_on_after(PATIENCE) as patience:
            await transport.connected()
        if patience.cancelled_caught:
            status = transport.status()
            count = f"{len(waiting)} message{'' if len(waiting) == 1 else 's'}"
            raise BrokerUnavailable(
                f"the connection was lost with {count} unconfirmed: {status.last_error}",
                mend="is the broker running?",
            )
        answers = await transport.publish(waiting)
        for publication, answer in zip(waiting, answers, strict=True):
            if answer.result is Confirmed.REFUSED:
                raise BrokerRefused(
                    f"the broker refused it: {answer.reason}",
                    where=publication.topic,
                    mend="may this user publish there?",
                )
        waiting = [each for each, answer in zip(waiting, answers, strict=True) if answer.result is Confirmed.UNKNOWN]


async def publish(config: Config, publications: Sequence[Publication]) -> None:
    """Publish through a connection of their own. Raises BrokerError."""
    async with connected(options_for(config)) as transport:
        await send(transport, publications)


def retained(config: Config, topic: str, timeout: float) -> Message | None:
    """The retained message of a topic; None where none comes within `timeout` seconds. Raises BrokerError.

    Blocks, on whichever thread: it runs on an event loop of its own.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="fp-events-retained") as thread:
        return thread.submit(asyncio.run, _retained(config, topic, timeout)).result()


async def _retained(config: Config, topic: str, patience: float) -> Message | None:
    options = options_for(config, [Subscription(filter=topic, qos=1, retain_handling=0)])
    async with connected(options) as transport:
        try:
            async with asyncio.timeout(patience):
                while True:
                    for delivery in await transport.receive():
                        if delivery.message.retain:
                            return delivery.message
        except TimeoutError:
            return None


def _unavailable(transport: Transport, options: ConnectOptions, patience: float) -> BrokerUnavailable:
    # The transport's sentence names the address and, after the semicolon, the mend itself.
    what, _, mend = transport.status().last_error.partition("; ")
    if what:
        return BrokerUnavailable(what, mend=mend)
    mend = "is the broker running, and mqtt.url right?"
    return BrokerUnavailable(f"no answer within {patience:g} s", where=options.address, mend=mend)


def _only(error: BaseException) -> BaseException:
    """The error within nested groups of one; else the group."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error
