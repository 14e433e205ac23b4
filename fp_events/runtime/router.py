"""From a delivery to the triggers that want it, each at most once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from zlib import crc32

from fp_events.domain.errors import ConfigError
from fp_events.domain.message import Delivery, Subscription
from fp_events.domain.pipeline import Pipeline, Trigger
from fp_events.domain.topics import (
    FilterIndex,
    TopicPattern,
    TopicRouter,
    covering,
    disjoint_cover,
    overlaps,
    parse_filter,
)

#: Topics whose matches are remembered at least, and the length up to which they are: at most some 2 MB.
REMEMBERED = 4096
REMEMBERED_LENGTH = 256
#: MQTT 5, 3.8.2.1.2.
LARGEST_IDENTIFIER = 268_435_455


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
        self,
        pipelines: Iterable[Pipeline],
        *,
        protocol: str,
        extra: Sequence[str] = (),
        direct: bool = False,
        before: Router | None = None,
        earlier: Sequence[str] = (),
    ) -> None:
        """`direct`: for triggers that acknowledge when_executed, which have a connection of their own.

        `before`: what is subscribed now, and stays so as far as it is of use. Raises ConfigError where that cannot be.
        `earlier`: filters that an earlier start subscribed, in their order: where several bring a trigger its messages,
        it stays with the same, since what the broker has kept names that one.
        """
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
        if before is not None:
            chosen = _kept(before, wanted, extra, protocol)
        else:
            chosen = [*covering(filters), *extra] if protocol == "5" else disjoint_cover([*filters, *extra])
        rank = {text: place for place, text in enumerate(earlier)}
        chosen.sort(key=lambda text: rank.get(text, len(rank)))
        self._numbers: Mapping[str, int] = _identifiers(chosen, {} if before is None else before._numbers)
        numbers = self._numbers
        self._identifiers = frozenset(numbers.values())
        brought = FilterIndex(chosen)
        targets = []
        for pipeline, index, trigger, pattern in wanted:
            # A trigger stays with the subscription that brings it its messages: a copy under way names that one.
            kept = None if before is None else before.brought.get((pipeline.name, trigger.topic))
            filter_ = kept if kept in numbers else brought.by(pattern.filter)
            targets.append((pattern, Target(pipeline, index, trigger, numbers[filter_])))
        names = {number: text for text, number in numbers.items()}
        #: Pipeline and topic as written -> the filter that brings it.
        self.brought: Mapping[tuple[str, str], str] = {
            (target.pipeline.name, target.trigger.topic): names[target.subscription] for _, target in targets
        }
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

    def renewed(self, pipelines: Iterable[Pipeline]) -> Router:
        """A router for these pipelines that keeps what is subscribed. Raises ConfigError where that cannot be."""
        return self._anew(pipelines, before=self)

    def become(self, new: Router) -> None:
        """Do as `new` from now on."""
        vars(self).update(vars(new))

    def match(self, delivery: Delivery) -> Sequence[Match]:
        """Triggers for this copy of the message, with what their captures matched."""
        message = delivery.message
        match = self._remembered if len(message.topic) <= REMEMBERED_LENGTH else self._match
        return match(message.topic, delivery.subscription_ids, message.retain)

    def _match(self, topic: str, ids: tuple[int, ...], retain: bool) -> Sequence[Match]:
        if self._identifiers.isdisjoint(ids):
            # The broker names none; or it has kept the message since other filters were subscribed.
            ids = ()
        return [
            (target, captures)
            for target, captures in self._router.match(topic)
            if (not ids or target.subscription in ids) and not (retain and target.trigger.retained == "skip")
        ]

    def through_extra(self, delivery: Delivery) -> bool:
        """Whether this copy came through a subscription of the daemon's own; one of several copies does."""
        ids = delivery.subscription_ids
        return self._identifiers.isdisjoint(ids) or not self._extra.isdisjoint(ids)


def _identifiers(filters: Sequence[str], known: Mapping[str, int]) -> dict[str, int]:
    """By filter, the same after every start: what the broker has kept meanwhile carries them."""
    found = {text: known[text] for text in filters if text in known}
    taken = set(found.values())
    for text in filters:
        if text not in found:
            number = crc32(text.encode()) % LARGEST_IDENTIFIER + 1
            while number in taken:
                number = number % LARGEST_IDENTIFIER + 1
            taken.add(number)
            found[text] = number
    return found


_Wanted = tuple[Pipeline, int, Trigger, TopicPattern]


def _kept(before: Router, wanted: Sequence[_Wanted], extra: Sequence[str], protocol: str) -> list[str]:
    """Filters to be subscribed: the old ones that are still of use, and what nothing of them brings."""
    old = FilterIndex(before.served)
    used = {before.brought.get((pipeline.name, trigger.topic)) for pipeline, _, trigger, _ in wanted}
    more: list[str] = []
    for pipeline, _, trigger, pattern in wanted:
        if (pipeline.name, trigger.topic) in before.brought:
            continue
        try:
            bringing = old.by(pattern.filter)
        except ValueError:
            more.append(pattern.filter)
            continue
        # Retained messages come with a new subscription only, and only MQTT 5 tells copies apart.
        if trigger.retained == "process" and protocol == "5" and bringing != pattern.filter:
            more.append(pattern.filter)
        else:
            used.add(bringing)
    kept = [text for text in before.served if text in used or text in extra]
    more = [text for text in covering(more) if text not in kept]
    if protocol != "5":
        for text in more:
            for other in (*kept, *(each for each in more if each != text)):
                if overlaps(text, other):
                    raise ConfigError(
                        f"the topics {text} and {other} overlap, which MQTT 3.1.1 cannot tell apart while connected",
                        where="reload",
                        mend="restart the daemon to take that over",
                    )
    return [*kept, *more]


def _subscription(text: str, number: int, targets: Sequence[Target]) -> Subscription:
    retained = any(target.trigger.retained == "process" for target in targets)
    return Subscription(
        filter=text,
        qos=max((target.trigger.qos for target in targets), default=1),
        # 1: at a new subscription only, else every reconnect would bring all retained messages again.
        retain_handling=1 if retained else 2,
        identifier=number,
    )
