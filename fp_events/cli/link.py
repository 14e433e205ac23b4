"""A short-lived MQTT connection of a command."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from fp_events.domain.connection import ConnectOptions
from fp_events.domain.errors import BrokerUnavailable
from fp_events.domain.message import ConnectionStatus, Subscription
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
    from fp_events import app

    return replace(
        app.broker_address(config),
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
