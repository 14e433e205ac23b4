"""From a delivery to the triggers that want it, each at most once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

from fp_events.domain.message import Delivery, Subscription
from fp_events.domain.pipeline import Pipeline, Trigger
from fp_events.domain.topics import FilterIndex, TopicRouter, covering, disjoint_cover, parse_filter

#: Topics whose matches are remembered at least, and the length up to which they are: at most some 2 MB.
REMEMBERED = 4096
REMEMBERED_LENGTH = 256


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """One trigger of one pipeline."""

    pipeline: Pipeline
    #: Index into the pipeline's triggers.
    index: int
    trigger: Trigger
    #: Identifier of the subscription that brings this trigger its messages.
    subscription: int


Match = tuple[Target, Mapping[str, str]]


class Router:
    """Knows what to subscribe to, and whom a message is for.

    Overlapping filters make a broker send copies. Filters that another one covers are not subscribed. Under
    MQTT 5 the broker says which subscription caused a copy, and a trigger listens to one subscription only;
    under 3.1.1 it does not, so overlapping filters are merged into wider ones until none overlap.
    """

    def __init__(
        self, pipelines: Iterable[Pipeline], *, protocol: str, extra: Sequence[str] = (), direct: bool = False
    ) -> None:
        """`direct`: for triggers that acknowledge when_executed, which have a connection of their own."""
        self._anew = partial(Router, protocol=protocol, extra=extra, direct=direct)
        wanted = [
            (pipeline, index, trigger, parse_filter(trigger.topic))
            for pipeline in pipelines
            if pipeline.enabled
            for index, trigger in enumerate(pipeline.triggers)
            if (trigger.acknowledge == "when_executed") is direct
        ]
        #: Some trigger acknowledges when_received.
        self.receives = any(trigger.acknowledge == "when_received" for _, _, trigger, _ in wanted)
        #: Some trigger subscribes at QoS 2.
        self.exactly_once = any(trigger.qos == 2 for _, _, trigger, _ in wanted)
        filters = [pattern.filter for *_, pattern in wanted]
        chosen = [*covering(filters), *extra] if protocol == "5" else disjoint_cover([*filters, *extra])
        numbers = {text: number for number, text in enumerate(chosen, start=1)}
        brought = FilterIndex(chosen)
        targets = [
            (pattern, Target(pipeline, index, trigger, numbers[brought.by(pattern.filter)]))
            for pipeline, index, trigger, pattern in wanted
        ]
        self._router: TopicRouter[Target] = TopicRouter(targets)
        # Some topics for each trigger: where all of them get messages in turn, fewer would be none.
        self._remembered = lru_cache(maxsize=max(REMEMBERED, 2 * len(targets)))(self._match)
        self._extra = frozenset(numbers[brought.by(text)] for text in extra)
        served: dict[int, list[Target]] = {number: [] for number in numbers.values()}
        for _, target in targets:
            served[target.subscription].append(target)
        self.subscriptions: tuple[Subscription, ...] = tuple(
            _subscription(text, number, served[number]) for text, number in numbers.items()
        )
        #: Filter -> names of the pipelines it serves.
        self.served: Mapping[str, tuple[str, ...]] = {
            text: tuple(dict.fromkeys(target.pipeline.name for target in served[number]))
            for text, number in numbers.items()
        }

    def serve(self, pipelines: Iterable[Pipeline]) -> None:
        """Bring the same subscriptions' messages to these pipelines from now on."""
        new = self._anew(pipelines)
        assert new.subscriptions == self.subscriptions
        self._router, self._remembered, self.receives = new._router, new._remembered, new.receives

    def match(self, delivery: Delivery) -> Sequence[Match]:
        """Triggers for this copy of the message, with what their captures matched."""
        message = delivery.message
        match = self._remembered if len(message.topic) <= REMEMBERED_LENGTH else self._match
        return match(message.topic, delivery.subscription_ids, message.retain)

    def _match(self, topic: str, ids: tuple[int, ...], retain: bool) -> Sequence[Match]:
        return [
            (target, captures)
            for target, captures in self._router.match(topic)
            if (not ids or target.subscription in ids) and not (retain and target.trigger.retained == "skip")
        ]

    def through_extra(self, delivery: Delivery) -> bool:
        """Whether this copy came through a subscription of the daemon's own; one of several copies does."""
        ids = delivery.subscription_ids
        return not ids or not self._extra.isdisjoint(ids)


def _subscription(text: str, number: int, targets: Sequence[Target]) -> Subscription:
    retained = any(target.trigger.retained == "process" for target in targets)
    return Subscription(
        filter=text,
        qos=max((target.trigger.qos for target in targets), default=1),
        # 1: at a new subscription only, else every reconnect would bring all retained messages again.
        retain_handling=1 if retained else 2,
        identifier=number,
    )
