"""QoS 2 messages that were acknowledged and not released: what makes them come once (MQTT 5, 4.3.3)."""

from __future__ import annotations

from fp_events.domain.ports import ReceivedIds


class Once:
    """Packet identifiers between our PUBREC and our PUBCOMP, over all connections of a transport.

    With `durable` also over restarts of the process: an identifier is forgotten there before its PUBCOMP goes out.
    """

    def __init__(self, durable: ReceivedIds | None) -> None:
        self.durable = durable
        self._held = set() if durable is None else set(durable.known())

    def acknowledged(self, packet_id: int) -> None:
        """A PUBREC goes out."""
        self._held.add(packet_id)

    def is_held(self, packet_id: int, *, duplicate: bool) -> bool:
        """A PUBLISH with this identifier repeats what was acknowledged.

        A repetition has the DUP flag (MQTT 5, 3.3.1.1). One without is a new message, from a broker that knows nothing
        of ours any more, or that has more messages under way than identifiers (Mosquitto 2.0.11): a second run is
        better than a lost reading.
        """
        if packet_id not in self._held:
            return False
        if duplicate:
            return True
        # When this one comes again, with the flag, it is not the old one.
        self._held.discard(packet_id)
        return False

    async def forget(self, packet_ids: list[int]) -> None:
        """Released by the broker (PUBREL); the PUBCOMPs may go out when this returns."""
        if self.durable is not None:
            await self.durable.forget(packet_ids)
        self._held.difference_update(packet_ids)

    async def clear(self) -> None:
        """The broker has no session: its identifiers begin anew."""
        self._held.clear()
        if self.durable is not None:
            await self.durable.clear()
