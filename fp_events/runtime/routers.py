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

    def __init__(self, o: ServiceOptions) -> None:
        pipelines = list(o.pipelines.values())
        extra = (o.names.control,) if o.control is not None else ()
        self.main = Router(pipelines, protocol=o.protocol, extra=extra)
        self.direct = Router(pipelines, protocol=o.protocol, direct=True)

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
        before = opened.settings.get(name, b"").decode().splitlines()
        return [text for text in before if text not in router.served]
