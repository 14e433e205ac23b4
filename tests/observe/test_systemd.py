"""systemd's notifications, received as systemd would."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from fp_events.domain.health import Check
from fp_events.observe.systemd import notifier


class Told:
    """A `Health` that is as it was told to be."""

    problem = ""

    def live(self) -> Sequence[Check]:
        return [Check("ledger_writer", self.problem)]

    def ready(self) -> Sequence[Check]:
        return [Check("connected", "the broker is away")]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """What NOTIFY_SOCKET names."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


def received(manager: socket.socket) -> list[str]:
    """Everything that was sent."""
    found = []
    while True:
        try:
            found.append(manager.recv(1000).decode())
        except BlockingIOError:
            return found


async def test_a_life_is_told(manager: socket.socket) -> None:
    """READY, WATCHDOG while it lives, STOPPING."""
    told = notifier({"NOTIFY_SOCKET": manager.getsockname()})
    assert told is not None
    await told.open(Told())
    told.started()
    told.beat()
    told.beat()
    told.draining()
    await told.close()
    assert ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"] == received(manager)


async def test_the_watchdog_is_not_fed_once_something_hangs(manager: socket.socket) -> None:
    """systemd then restarts the daemon; that the broker is away is no reason."""
    told = notifier({"NOTIFY_SOCKET": manager.getsockname()})
    assert told is not None
    health = Told()
    await told.open(health)
    told.beat()
    health.problem = "the ledger's writer has not answered for 31 s"
    told.beat()
    await told.close()
    assert ["WATCHDOG=1"] == received(manager)


async def test_a_manager_that_has_gone_stops_nobody(tmp_path: Path) -> None:
    """The daemon lives without it."""
    told = notifier({"NOTIFY_SOCKET": str(tmp_path / "nothing")})
    assert told is not None
    await told.open(Told())
    told.started()
    told.beat()
    await told.close()


async def test_an_abstract_socket_is_known_by_its_sign() -> None:
    """`@name` stands for Linux's abstract namespace."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0fp-events-test-notify")
        manager.setblocking(False)
        told = notifier({"NOTIFY_SOCKET": "@fp-events-test-notify"})
        assert told is not None
        told.started()
        await told.close()
        assert ["READY=1"] == received(manager)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "relative"}])
def test_without_systemd_nothing_is_told(environ: dict[str, str]) -> None:
    """No socket is opened."""
    assert notifier(environ) is None
