"""systemd's notifications (sd_notify(3)): datagrams to the socket that NOTIFY_SOCKET names."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress

from fp_events.domain.health import Health


class SystemdNotifier:
    """A `Watcher` that says READY, STOPPING, and WATCHDOG as long as the daemon is alive.

    READY does not wait for the broker: a daemon that started before it is not to be killed for that.
    """

    def __init__(self, address: str) -> None:
        """`address`: a path, or a name after `@` in Linux's abstract namespace."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._health: Health | None = None

    async def open(self, health: Health) -> None:
        """Know whom to ask."""
        self._health = health

    def started(self) -> None:
        """READY."""
        self._say("READY=1")

    def beat(self) -> None:
        """WATCHDOG, unless something is found that only a restart can mend."""
        if self._health is not None and not any(check.problem for check in self._health.live()):
            self._say("WATCHDOG=1")

    def draining(self) -> None:
        """STOPPING."""
        self._say("STOPPING=1")

    async def close(self) -> None:
        """Say nothing more."""
        self._socket.close()

    def _say(self, text: str) -> None:
        # A manager that is gone or slow stops no daemon.
        with suppress(OSError):
            self._socket.sendto(text.encode(), self._address)


def notifier(environ: Mapping[str, str] = os.environ) -> SystemdNotifier | None:
    """The notifier that systemd asks for; None where it does not."""
    address = environ.get("NOTIFY_SOCKET", "")
    return SystemdNotifier(address) if address.startswith(("/", "@")) else None
