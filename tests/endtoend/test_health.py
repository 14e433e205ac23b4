"""What a supervisor sees of a daemon: probes by HTTP, systemd's notifications, `status`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import mosquitto
from tests.ledgers import test_sqlite_disk as disks
from tests.support import free_port
from tests.wrong_inputs.places import broker_without_subscriptions

from .harness import PATIENCE, Daemon, send, serving, write_project

small_disk = disks.small_disk

WAITING_PY = '''\
import pathlib
import time


def answer(file: str) -> int:
    """When the file is there."""
    while not pathlib.Path(file).exists():
        time.sleep(0.01)
    return 1
'''
YML = "triggers: [{topic: in, map: {file: payload.file}}]\noutputs: [{node: answer, topic: out}]\n"


class Probed:
    """A project whose daemon answers probes."""

    def __init__(self, folder: Path, broker: int, *, ledger: str = "sqlite:///.fp-events/ledger.db") -> None:
        """`broker`: its port."""
        self.port = free_port()
        settings = {
            "name": "probed",
            "mqtt": {"url": f"mqtt://127.0.0.1:{broker}"},
            "ledger": {"url": ledger},
            "health": {"bind": self.port},
        }
        files = {"conf/project.yml": json.dumps(settings), "conf/pipelines/waits.yml": YML}
        self.folder = write_project(folder, {**files, "pipelines/waits.py": WAITING_PY})

    async def ask(self, path: str) -> tuple[int, dict[str, str]]:
        """The status of a probe, and the problems that its body names."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        said: Mapping[str, Any] = json.loads(body)
        problems = {name: check["problem"] for name, check in said["checks"].items() if not check["ok"]}
        assert said["ok"] is not bool(problems)
        return int(head.split(b" ")[1]), problems

    async def readiness(self, wanted: Callable[[int, dict[str, str]], bool]) -> dict[str, str]:
        """Ask until it is as wanted; the problems."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, problems = await self.ask("/readyz")
                if wanted(status, problems):
                    return problems
                await asyncio.sleep(0.02)

    async def ready(self) -> None:
        """Wait until it is ready."""
        await self.readiness(lambda status, _: status == 200)


async def test_a_daemon_without_its_broker_is_alive_but_not_ready(tmp_path: Path) -> None:
    """A supervisor sends it no work and does not restart it: that would not bring the broker back."""
    async with mosquitto() as broker:
        project = Probed(tmp_path, broker.port)
        await broker.stop()
        daemon = Daemon(project.folder)
        await daemon.start(until="broker_unavailable")
        try:
            problems = await project.readiness(lambda status, _: status == 503)
            assert {"connected", "subscribed"} == set(problems)
            assert f"127.0.0.1:{broker.port}" in problems["connected"]
            assert (200, {}) == await project.ask("/livez")
            await broker.start()
            await project.ready()
            await broker.kill()
            assert {"connected", "subscribed"} == set(await project.readiness(lambda status, _: status == 503))
            assert (200, {}) == await project.ask("/livez")
        finally:
            await daemon.kill()


async def test_a_subscription_that_the_broker_refuses_is_not_ready(tmp_path: Path) -> None:
    """Connected is not enough: no message would come."""
    async with broker_without_subscriptions(tmp_path) as broker:
        project = Probed(tmp_path / "project", int(broker["port"]))
        async with serving(project.folder):
            assert (503, {"subscribed": "the broker has not granted in"}) == await project.ask("/readyz")
            assert (200, {}) == await project.ask("/livez")


async def test_a_locked_ledger_is_not_ready_before_any_message(tmp_path: Path) -> None:
    """Another program holds the file: /readyz says so, /livez is well, and it passes."""
    async with mosquitto() as broker:
        project = Probed(tmp_path, broker.port)
        async with serving(project.folder) as daemon:
            await project.ready()
            with closing(sqlite3.connect(project.folder / ".fp-events" / "ledger.db", isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                problems = await project.readiness(lambda status, _: status == 503)
                assert {"ledger"} == set(problems)
                assert "another program has locked the ledger" in problems["ledger"]
                assert (200, {}) == await project.ask("/livez")
                other.execute("ROLLBACK")
            await project.ready()
            assert 0 == await daemon.stop()


async def test_a_full_disk_is_not_ready(tmp_path: Path, small_disk: Path) -> None:
    """What arrives cannot be stored: /readyz says so until there is room, /livez is well."""
    async with mosquitto() as broker:
        project = Probed(tmp_path / "project", broker.port, ledger=f"sqlite:///{small_disk / 'ledger.db'}")
        async with serving(project.folder) as daemon:
            await project.ready()
            disks.fill(small_disk / "ballast")
            await send(broker.port, "in", {"file": str(tmp_path), "much": "x" * 200_000})
            problems = await project.readiness(lambda status, _: status == 503)
            assert {
                "ledger": f"{small_disk}/ledger.db: the disk is full; free some space, and work goes on"
            } == problems
            assert (200, {}) == await project.ask("/livez")
            (small_disk / "ballast").unlink()
            await project.ready()
            await daemon.runs("waits")


async def test_a_draining_daemon_is_not_ready(tmp_path: Path) -> None:
    """From SIGTERM to the end of the last run: alive, and no longer to be given work."""
    async with mosquitto() as broker:
        project = Probed(tmp_path, broker.port)
        async with serving(project.folder) as daemon:
            await project.ready()
            gate = tmp_path / "gate"
            await send(broker.port, "in", {"file": str(gate)})
            await daemon.until(lambda status: status["pipelines"][0]["running"] == 1)
            daemon.signal(signal.SIGTERM)
            problems = await project.readiness(lambda _, problems: "draining" in problems)
            assert "the daemon is draining" == problems["draining"]
            assert (200, {}) == await project.ask("/livez")
            gate.touch()
            assert 0 == await daemon.ended()


async def test_a_port_that_is_taken_ends_the_start(tmp_path: Path) -> None:
    """Exit code 78 and the line of the setting: a daemon without its probes would be restarted for ever."""
    async with mosquitto() as broker:
        project = Probed(tmp_path, broker.port)
        with socket.create_server(("127.0.0.1", project.port)):
            daemon = Daemon(project.folder)
            with pytest.raises(RuntimeError, match="serve ended"):
                await daemon.start()
            assert 78 == await daemon.ended()
    assert f"127.0.0.1:{project.port} cannot be listened on" in daemon.text[-1]
    assert "conf/project.yml:1" in daemon.text[-1]


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


async def received(manager: socket.socket, seconds: float) -> list[bytes]:
    """What comes within a time."""
    found = []
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                found.append(await asyncio.get_running_loop().sock_recv(manager, 100))
    return found


async def test_systemd_is_told_of_a_life(tmp_path: Path, manager: socket.socket) -> None:
    """READY although the broker is away, the watchdog again and again, STOPPING."""
    loop = asyncio.get_running_loop()
    async with mosquitto() as broker, asyncio.timeout(PATIENCE):
        project = Probed(tmp_path / "project", broker.port)
        await broker.stop()
        daemon = Daemon(project.folder, {"NOTIFY_SOCKET": manager.getsockname()})
        await daemon.start(until="broker_unavailable")
        said = [await loop.sock_recv(manager, 100) for _ in range(4)]
        assert {b"READY=1", b"WATCHDOG=1"} == set(said)
        assert 1 == said.count(b"READY=1")
        daemon.signal(signal.SIGTERM)
        while await loop.sock_recv(manager, 100) != b"STOPPING=1":
            pass
        assert 0 == await daemon.ended()


async def test_a_daemon_that_hangs_no_longer_feeds_the_watchdog(tmp_path: Path, manager: socket.socket) -> None:
    """Stopped by a signal, as a blocked loop would be: nothing is said, until it goes on."""
    loop = asyncio.get_running_loop()
    async with mosquitto() as broker, asyncio.timeout(PATIENCE):
        project = Probed(tmp_path / "project", broker.port)
        async with serving(project.folder, {"NOTIFY_SOCKET": manager.getsockname()}) as daemon:
            while await loop.sock_recv(manager, 100) != b"WATCHDOG=1":
                pass
            daemon.signal(signal.SIGSTOP)
            # One that was sent before the signal took effect may still come.
            assert len(await received(manager, 2.5)) <= 1
            daemon.signal(signal.SIGCONT)
            assert b"WATCHDOG=1" == await loop.sock_recv(manager, 100)


async def test_status_tells_how_late_the_loop_is(tmp_path: Path) -> None:
    """Ten seconds' lateness, and the last answer of the ledger's writer."""
    async with mosquitto() as broker:
        project = Probed(tmp_path, broker.port)
        async with serving(project.folder) as daemon:
            status = await daemon.until(lambda status: status["loop"]["lag_ms"]["max"] > 0)
            lag = status["loop"]["lag_ms"]
            assert lag["p50"] <= lag["p99"] <= lag["max"]
            # The whole process stands still, for longer than the half second between two beats of an idle loop.
            daemon.signal(signal.SIGSTOP)
            await asyncio.sleep(0.8)
            daemon.signal(signal.SIGCONT)
            await daemon.until(lambda status: status["loop"]["lag_ms"]["max"] > 150)
            assert "asyncio" == status["loop"]["name"]
            assert 0 < status["ledger_writer"]["took_ms"] < 10_000
            assert status["ledger_writer"]["answered_ago_s"] < 10
