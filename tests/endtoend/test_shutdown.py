"""How a daemon starts and ends, as its supervisor and its neighbours see it."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.brokers import Mosquitto, mosquitto
from tests.support import require_program

from .harness import PATIENCE, Daemon, Listener, cli, send, serving, write_project

WAITING_PY = '''\
"""Takes its time."""

import pathlib
import time


def answer(payload: dict) -> int:
    """When the file is there; `started` tells that it waits."""
    pathlib.Path(payload["started"]).touch()
    while not pathlib.Path(payload["file"]).exists():
        time.sleep(0.01)
    return payload["n"]
'''
YML = """\
triggers: [{topic: in, concurrency: 1}]
outputs: [{node: answer, topic: out}]
"""
AVAILABILITY = "fp/ends/instances/ends-1/availability"


def project(folder: Path, port: int) -> Path:
    mqtt = f'mqtt: {{url: "mqtt://127.0.0.1:{port}", client_id: ends-1}}\n'
    files = {
        "conf/project.yml": f"name: ends\n{mqtt}",
        "conf/pipelines/waits.yml": YML,
        "pipelines/waits.py": WAITING_PY,
    }
    return write_project(folder, files)


class Gate:
    """A run that has started, and waits to be let go."""

    def __init__(self, folder: Path, broker: Mosquitto, n: int) -> None:
        self._started = folder / f"started-{n}"
        self._file = folder / f"file-{n}"
        self._broker = broker
        self._n = n

    async def send(self) -> None:
        """The message that makes the run."""
        body = {"n": self._n, "file": str(self._file), "started": str(self._started)}
        await send(self._broker.port, "in", body)

    async def running(self) -> None:
        """Wait until the run waits."""
        async with asyncio.timeout(PATIENCE):
            while not self._started.exists():
                await asyncio.sleep(0.01)

    def open(self) -> None:
        """Let the run end."""
        self._file.touch()


async def test_a_signal_drains(tmp_path: Path) -> None:
    """What runs ends and is published, what waits stays in the ledger, everybody is told, the code is 0."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out", AVAILABILITY) as listener,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        first, second, third = (Gate(tmp_path, broker, n) for n in (1, 2, 3))
        await listener.next(AVAILABILITY)
        await first.send()
        await first.running()
        await second.send()
        await daemon.until(lambda status: status["totals"]["pending"] == 2)
        daemon.signal(signal.SIGTERM)
        await listener.next(AVAILABILITY, 2)
        draining = (await daemon.ask("status"))["draining"]
        await third.send()
        results_before = len(listener.on("out"))
        first.open()
        code = await daemon.ended()
        await listener.next(AVAILABILITY, 3)
        told = [message.payload for message in listener.on(AVAILABILITY)]
        results = [message.json for message in listener.on("out")]

        for gate in (second, third):
            gate.open()
        await daemon.start()
        await listener.next("out", 3)
        daemon.signal(signal.SIGINT)
        again = await daemon.ended()

    assert (draining, results_before) == (True, 0)
    assert (code, again) == (0, 0)
    assert told == [b"online", b"draining", b"offline"]
    assert results == [1]
    assert [message.json for message in listener.on("out")] == [1, 2, 3]
    assert [line["drained"] for line in daemon.log if line["event"] == "stopped"] == [True, True]
    assert daemon.text == []


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A run that does not end is given up; the next start runs it again."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out", AVAILABILITY) as listener,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        gate = Gate(tmp_path, broker, 1)
        await gate.send()
        await gate.running()
        daemon.signal(signal.SIGTERM)
        await daemon.logged("draining")
        loop = asyncio.get_running_loop()
        asked = loop.time()
        daemon.signal(signal.SIGTERM)
        code = await daemon.ended()
        seconds = loop.time() - asked
        before = len(listener.on("out"))
        gate.open()
        await daemon.start()
        await listener.next("out")
        (run,) = await daemon.runs("waits")
        assert await daemon.stop() == 0

    assert seconds < 5
    assert (code, before) == (0, 0)
    assert [line["drained"] for line in daemon.log if line["event"] == "stopped"] == [False, True]
    assert (run["outcome"], run["crashes"]) == ("succeeded", 0)


async def test_a_broker_that_is_down_at_the_start_is_waited_for(tmp_path: Path) -> None:
    """`serve` says so, answers on its socket, and goes on when the broker comes."""
    async with mosquitto() as broker:
        await broker.stop()
        daemon = Daemon(project(tmp_path, broker.port))
        await daemon.start(until="broker_unavailable")
        try:
            away = await daemon.ask("status")
            await broker.start()
            await daemon.logged("connected")
            gate = Gate(tmp_path, broker, 1)
            gate.open()
            async with Listener(broker.port, "out") as listener:
                await gate.send()
                (result,) = await listener.next("out")
            assert await daemon.stop() == 0
        except BaseException:
            await daemon.kill()
            raise

    assert (away["broker"]["connected"], result.json) == (False, 1)
    assert away["broker"]["last_error"]


async def test_a_result_waits_for_the_broker_over_a_restart(tmp_path: Path) -> None:
    """The broker goes in the middle of a run, then the daemon: the result is published when both are back."""
    async with mosquitto() as broker, serving(project(tmp_path, broker.port)) as daemon:
        gate = Gate(tmp_path, broker, 1)
        await gate.send()
        await gate.running()
        await broker.stop()
        await daemon.logged("disconnected")
        gate.open()
        (run,) = await daemon.runs("waits")
        code = await daemon.stop()
        await broker.start()
        async with Listener(broker.port, "out") as listener:
            await daemon.start()
            (result,) = await listener.next("out")
        status = await daemon.ask("status")
        assert await daemon.stop() == 0

    assert (code, run["outcome"]) == (0, "succeeded")
    assert (result.json, result.user["run_id"]) == (1, run["run_id"])
    assert (status["totals"]["finished"], len(listener.messages)) == (0, 1)


async def test_without_a_broker_fail_fast_ends_with_69(tmp_path: Path) -> None:
    """For those whose supervisor does the waiting; a stop without a broker is as good as any."""
    async with mosquitto() as broker:
        await broker.stop()
        folder = project(tmp_path, broker.port)
        ended = await cli(folder, "serve", "--fail-fast")
        daemon = Daemon(folder)
        await daemon.start(until="broker_unavailable")
        stopped = await daemon.stop()

    assert (ended.code, stopped) == (69, 0)
    assert str(broker.port) in ended.err
    assert "Traceback" not in ended.err


async def test_a_second_daemon_on_a_ledger_ends_with_75(tmp_path: Path) -> None:
    """It names the one that holds the ledger, and the first goes on."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, "out", AVAILABILITY) as listener,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        second = await cli(daemon.project, "serve")
        gate = Gate(tmp_path, broker, 1)
        gate.open()
        await gate.send()
        await listener.next("out")
        status = await daemon.ask("status")
        told = [message.payload for message in listener.on(AVAILABILITY)]
        assert await daemon.stop() == 0

    assert second.code == 75
    assert f"process {status['pid']}" in second.err
    assert (status["broker"]["connections"], told) == (1, [b"online"])


async def test_a_killed_daemon_is_known_to_be_offline(tmp_path: Path) -> None:
    """The broker publishes the last will, retained; a new start takes it back."""
    async with (
        mosquitto() as broker,
        Listener(broker.port, AVAILABILITY) as listener,
        serving(project(tmp_path, broker.port)) as daemon,
    ):
        await listener.next(AVAILABILITY)
        await daemon.kill()
        await listener.next(AVAILABILITY, 2)
        async with Listener(broker.port, AVAILABILITY) as late:
            retained = [(message.payload, message.retain) for message in late.messages]
        await daemon.start()
        await listener.next(AVAILABILITY, 3)
        assert await daemon.stop() == 0
        await listener.next(AVAILABILITY, 5)

    assert retained == [(b"offline", True)]
    told = [message.payload for message in listener.on(AVAILABILITY)]
    assert told == [b"online", b"offline", b"online", b"draining", b"offline"]


@pytest.mark.parametrize("delay", [0.3, 0.45, 0.6, 0.8])
async def test_an_end_during_the_start_leaves_no_broker(tmp_path: Path, delay: float) -> None:
    """The embedded broker may just have been started: whoever is told to end takes it along."""
    require_program("mosquitto")
    folder = project(tmp_path, 1)
    write_project(folder, {"conf/project.yml": "name: early\n"})
    daemon = Daemon(folder)
    await daemon.start(until="")
    await asyncio.sleep(delay)  # whichever moment of the start it is
    # Before there is anything to be ended the signal is Python's.
    assert await daemon.stop() in (0, -signal.SIGTERM)
    assert [] == [line(process) for process in psutil.process_iter() if str(folder) in " ".join(line(process))]


def line(process: psutil.Process) -> list[str]:
    """Its command line; none where it has just ended."""
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
