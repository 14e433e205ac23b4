"""What the broker answers once: subscriptions, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from fp_events.domain.message import Subscription

from ._limits import Limits
from ._link import ANSWER_TIMEOUT, NoAnswer
from ._mqtt5_output import PacketIds
from ._mqtt5_packets import impossible, subscribe_packet, unsubscribe_packet
from ._subscribing import CHUNK, chunks

#: By packet identifier: the reason codes to come.
Answers = dict[int, "asyncio.Future[list[int]]"]


class Requests:
    """The requests of one connection; those without an answer are in `answers`."""

    def __init__(
        self, answers: Answers, ids: PacketIds, *, queue: Callable[[bytes], None], silence: Callable[[], float]
    ) -> None:
        """`queue` takes bytes for the socket; `silence`: seconds without a byte from the broker, while we read."""
        self._answers = answers
        self._ids = ids
        self._queue = queue
        self._silence = silence

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """See `Link.unsubscribe`."""
        parts = [filters[start : start + CHUNK] for start in range(0, len(filters), CHUNK)]
        await self._ask([partial(unsubscribe_packet, filters=part) for part in parts])

    async def subscribe(self, subscriptions: Sequence[Subscription], limits: Limits) -> Mapping[str, int]:
        """See `Link.subscribe`."""
        granted = {one.filter: impossible(one, limits) for one in subscriptions}
        possible = [one for one in subscriptions if not granted[one.filter]]
        packets = chunks(possible, identifiers=limits.subscription_ids)
        answers = await self._ask(
            [partial(subscribe_packet, identifier=number, subscriptions=chunk) for number, chunk in packets]
        )
        for (_, chunk), codes in zip(packets, answers, strict=True):
            if len(codes) != len(chunk):
                raise NoAnswer(f"{len(codes)} reasons for {len(chunk)} filters")
            granted.update((one.filter, code) for one, code in zip(chunk, codes, strict=True))
        return granted

    def answered(self, packet_id: int, codes: list[int]) -> None:
        """The broker has answered; what nobody has asked changes nothing."""
        request = self._answers.pop(packet_id, None)
        if request is not None and not request.done():
            request.set_result(codes)

    def lost(self, reason: str) -> None:
        """The connection is gone, and no answer comes."""
        for request in self._answers.values():
            if not request.done():
                request.set_exception(NoAnswer(reason))
                request.exception()

    async def _ask(self, packets: Sequence[Callable[[int], bytes]]) -> list[list[int]]:
        requests: list[asyncio.Future[list[int]]] = []
        for packet in packets:
            request: asyncio.Future[list[int]] = asyncio.get_running_loop().create_future()
            packet_id = self._ids.next()
            self._answers[packet_id] = request
            self._queue(packet(packet_id))
            requests.append(request)
        return [await self._answer(request) for request in requests]

    async def _answer(self, request: asyncio.Future[list[int]]) -> list[int]:
        """The answer, however much the broker sends before it; Mosquitto 2.0 sends all that it has under way to us."""
        while True:
            try:
                return await asyncio.wait_for(asyncio.shield(request), ANSWER_TIMEOUT)
            except TimeoutError as error:
                if self._silence() >= ANSWER_TIMEOUT:
                    raise NoAnswer(f"no answer within {ANSWER_TIMEOUT:g} seconds") from error
