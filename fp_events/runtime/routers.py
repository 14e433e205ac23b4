"""The two connections: who gets its messages over which, and what each is subscribed to."""

from __future__ import annotations

from collections.abc import Mapping

from fp_events.domain.records import Opened

from .options import ServiceOptions
from .router import Router

#: Settings under which the broker's subscriptions are remembered.
SUBSCRIPTIONS = "broker.subscriptions"
DIRECT_SUBSCRIPTIONS = "broker.subscriptions.direct"


class Routers:
    """One for messages that are saved or acknowledged at once, one for those that the broker keeps meanwhile."""

    def __init__(self, o: ServiceOptions, opened: Opened) -> None:
        pipelines = list(o.pipelines.values())
        extra = (o.names.control,) if o.control is not None else ()
        earlier = {name: _filters(opened, name) for name in (SUBSCRIPTIONS, DIRECT_SUBSCRIPTIONS)}
        self.main = Router(pipelines, protocol=o.protocol, extra=extra, earlier=earlier[SUBSCRIPTIONS])
        self.direct = Router(pipelines, protocol=o.protocol, direct=True, earlier=earlier[DIRECT_SUBSCRIPTIONS])

    def settings(self) -> Mapping[str, bytes]:
        """What is subscribed now, for the ledger."""
        named = {SUBSCRIPTIONS: self.main, DIRECT_SUBSCRIPTIONS: self.direct}
        return {
            name: "\n".join(subscription.filter for subscription in router.subscriptions).encode()
            for name, router in named.items()
        }

    def stale(self, opened: Opened, router: Router) -> list[str]:
        """Filters that an earlier start subscribed there and that nothing wants any more."""
        name = SUBSCRIPTIONS if router is self.main else DIRECT_SUBSCRIPTIONS
        return [text for text in _filters(opened, name) if text not in router.served]


def _filters(opened: Opened, name: str) -> list[str]:
    return opened.settings.get(name, b"").decode().splitlines()
