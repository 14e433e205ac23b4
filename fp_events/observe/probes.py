"""`/livez` and `/readyz`: what probes of a supervisor ask by HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from fp_events.domain.health import Check, Health

from .http import HttpResponder, Reply, Route


class Probes:
    """A `Watcher` that answers on one address: 200 where every check is well, else 503; the body names them."""

    def __init__(self, host: str, port: int, *, where: str = "health.bind") -> None:
        """`where`: the place of the setting, for errors."""
        self._address = (host, port, where)
        self._responder: HttpResponder | None = None

    async def open(self, health: Health) -> None:
        """Listen. Raises ConfigError where the address cannot be had."""
        host, port, where = self._address
        routes = {
            "/livez": Route(answer=lambda _: _reply(health.live())),
            "/readyz": Route(answer=lambda _: _reply(health.ready())),
        }
        responder = HttpResponder(host, port, routes, where=where)
        await responder.open()
        self._responder = responder

    def started(self) -> None:
        """Nothing to do: it answers when it is asked."""

    def beat(self) -> None:
        """Nothing to do."""

    def draining(self) -> None:
        """Nothing to do."""

    async def close(self) -> None:
        """Stop listening."""
        if self._responder is not None:
            await self._responder.close()


def _reply(checks: Sequence[Check]) -> Reply:
    well = not any(check.problem for check in checks)
    said = {
        check.name: {"ok": not check.problem, **({"problem": check.problem} if check.problem else {})}
        for check in checks
    }
    return (HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE), {"ok": well, "checks": said}
