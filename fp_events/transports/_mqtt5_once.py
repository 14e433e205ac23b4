"""QoS 2 messages that were acknowledged and not released: what makes them come once (MQTT 5, 4.3.3)."""

from __future__ import annotations

from fp_events.domain.ports import ReceivedIds


class Once:
    """Packet identifiers between our PUBREC and our PUBCOMP, over all connections of a transport.

    With `durable` also over restarts of the process: an identifier is forgotten there before its PUBCOMP goes out.
    """

    def __init__(self, durable: ReceivedIds | None) -> None:
        self.durable = durable
        #: Identifier -> connection of the PUBREC; 0: of an earlier process.
        self._held: dict[int, int] = {}
        if durable is not None:
            self._held = dict.fromkeys(durable.known(), 0)

    def acknowledged(self, packet_id: int, connection: int) -> None:
        """A PUBREC goes out."""
        self._held[packet_id] = connection

    def is_held(self, packet_id: int, connection: int, *, duplicate: bool) -> bool:
        """A PUBLISH with this identifier repeats what was acknowledged.

        On a later connection a repetition has the DUP flag (MQTT 5, 3.3.1.1). One without is a new message, from a
        broker that knows nothing of ours any more: a second run is better than a lost reading.
        """
        since = self._held.get(packet_id)
        if since is None:
            return False
        if duplicate or since == connection:
            return True
        # When this one comes again, with the flag, it is not the old one.
        del self._held[packet_id]
        return False

    async def forget(self, packet_ids: list[int]) -> None:
        """Released by the broker (PUBREL); the PUBCOMPs may go out when this returns."""
        if self.durable is not None:
            await self.durable.forget(packet_ids)
        for packet_id in packet_ids:
            self._held.pop(packet_id, None)

    async def clear(self) -> None:
        """The broker has no session: its identifiers begin anew."""
        self._held.clear()
        if self.durable is not None:
            await self.durable.clear()
