"""Packet identifiers of QoS 2 messages in the ledger, so that such a message is accepted exactly once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from fp_events.domain.message import Delivery
from fp_events.domain.records import Batch, Opened

from .committer import Committer

#: Settings under which they are remembered, one for each identifier.
PREFIX = "broker.received:"


class StoredIds:
    """`ReceivedIds` on the ledger's settings: rare, small, and written by the same transaction as the message."""

    def __init__(self, committer: Committer, opened: Opened) -> None:
        self._committer = committer
        self._known = {int(name.removeprefix(PREFIX)) for name in opened.settings if name.startswith(PREFIX)}

    def known(self) -> Collection[int]:
        """See `ReceivedIds.known`."""
        return frozenset(self._known)

    def settings(self, burst: Iterable[Delivery]) -> Mapping[str, bytes | None]:
        """What the commit that stores these messages has to write besides."""
        found = [delivery.packet_id for delivery in burst if delivery.message.qos == 2]
        self._known.update(found)
        return {f"{PREFIX}{packet_id}": b"" for packet_id in found}

    async def forget(self, packet_ids: Sequence[int]) -> None:
        """See `ReceivedIds.forget`."""
        gone = [packet_id for packet_id in packet_ids if packet_id in self._known]
        if gone:
            await self._committer.commit(Batch(settings={f"{PREFIX}{packet_id}": None for packet_id in gone}))
            self._known.difference_update(gone)

    async def clear(self) -> None:
        """See `ReceivedIds.clear`."""
        await self.forget(list(self._known))
