"""`@save_to.mqtt` and `@load_from.mqtt`: registered with Hamilton when this module is imported.

`fp-events` does so where a pipeline asks for loaders or savers. Elsewhere, as in a test with Hamilton's own driver,
``import fp_events.plans.mqtt_adapters`` does; the nodes then need an `Exchange` in their context.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any

from fp_events.domain.errors import UsageError
from fp_events.domain.exchange import EXCHANGE, Exchange

from .hamilton_api import hamilton

_adapters = hamilton("io.data_adapters")
#: No default: without a retained message the run fails.
_REQUIRED = object()


def _exchange(what: str) -> Exchange:
    found = EXCHANGE.get()
    if found is None:
        raise UsageError(
            f"{what} needs a run of fp-events around it",
            mend="run the pipeline with `fp-events run`; in a branch of Parallelizable, move it behind Collect",
        )
    return found


class _Mqtt:
    """What Hamilton asks of both."""

    @classmethod
    def applicable_types(cls) -> Collection[type]:
        """Any value that has a payload: bytes and text as they are, and whatever JSON can say."""
        return [Any]

    @classmethod
    def name(cls) -> str:
        """`@save_to.mqtt` and `@load_from.mqtt`."""
        return "mqtt"


@dataclasses.dataclass
class MqttSaver(_Mqtt, _adapters.DataSaver):  # type: ignore[misc, name-defined]  # Hamilton ships no types
    """Publishes a node's value when its run has succeeded, durably: with the run's result, through the outbox."""

    topic: str
    qos: int = 1
    retain: bool = False
    #: Seconds that the broker keeps it for those who are away; None: for ever.
    expires_after: float | None = None

    def save_data(self, data: Any) -> dict[str, Any]:
        """Hand the value to the run; facts about what will be published."""
        if self.qos not in (0, 1, 2):
            raise UsageError(f"qos is {self.qos!r}", where=f"@save_to.mqtt(topic={self.topic!r})", mend="use 0, 1 or 2")
        exchange = _exchange("@save_to.mqtt")
        return dict(exchange.save(self.topic, data, qos=self.qos, retain=self.retain, expires_after=self.expires_after))


@dataclasses.dataclass
class MqttLoader(_Mqtt, _adapters.DataLoader):  # type: ignore[misc, name-defined]  # Hamilton ships no types
    """Reads the retained message of a topic."""

    topic: str
    #: Seconds to wait: a broker does not say that there is none.
    timeout: float = 5.0
    #: The value where there is none.
    default: Any = _REQUIRED

    def load_data(self, type_: type) -> tuple[Any, dict[str, Any]]:
        """The payload as `type_`, and facts about the message. Raises LookupError without a message or a default."""
        exchange = _exchange("@load_from.mqtt")
        message = exchange.retained(self.topic, self.timeout)
        if message is None:
            if self.default is _REQUIRED:
                raise LookupError(
                    f"there is no retained message on '{self.topic}': none came within {self.timeout:g} s; "
                    "publish one with `--retain`, or give `default=`"
                )
            return self.default, {"topic": self.topic, "retained": False}
        facts = {"topic": message.topic, "retained": True, "size": len(message.payload), "qos": message.qos}
        if type_ is bytes:
            return message.payload, facts
        if type_ is str:
            return message.payload.decode(), facts
        return exchange.decode(message), facts


for _adapter in (MqttSaver, MqttLoader):
    hamilton("registry").register_adapter(_adapter)
