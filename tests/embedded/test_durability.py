"""What the embedded broker has accepted survives the death of everything."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from fp_events.brokers import EmbeddedBroker, read_address
from fp_events.brokers.address import read_record
from fp_events.brokers.probe import answers
from fp_events.brokers.processes import is_alive

from .clients import publish, subscribe_for_later, take

PAYLOADS = [f"reading {number}" for number in range(300)]

OWNER = """
import asyncio, sys
from pathlib import Path
from fp_events.brokers import EmbeddedBroker

async def main():
    address = await EmbeddedBroker(Path(sys.argv[1])).start()
    print(address.port, flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


async def start_owner(folder: Path) -> tuple[asyncio.subprocess.Process, int]:
    """Another process that owns the broker, and the broker's port."""
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, str(folder), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert owner.stdout is not None
    return owner, int(await owner.stdout.readline())


def pid_of_broker(folder: Path) -> int:
    record = read_record(folder)
    assert record is not None
    assert record.pid is not None
    return record.pid


async def saved(folder: Path) -> None:
    """Wait until the last payload is in the database: Mosquitto acknowledges, and saves every second."""
    database = folder / "mosquitto.db"
    while not database.exists() or PAYLOADS[-1].encode() not in database.read_bytes():
        await anyio.sleep(0.02)


async def test_killed_broker_comes_back_with_what_it_held(folder: Path) -> None:
    """Queued QoS 1 messages outlive SIGKILL of the broker, which is started again on its port."""
    broker = EmbeddedBroker(folder)
    port = (await broker.start()).port
    subscribe_for_later(port, "offline", "plant/#")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broker.run)
        publish(port, "plant/temperature", PAYLOADS)
        await saved(folder)
        killed = pid_of_broker(folder)
        os.kill(killed, signal.SIGKILL)
        while pid_of_broker(folder) == killed or not answers(port):
            await anyio.sleep(0.05)
        taken = await run_sync(take, port, "offline", "plant/#", len(PAYLOADS))
        await broker.stop()
    assert PAYLOADS == taken


async def test_stop_and_start_keep_port_and_messages(folder: Path) -> None:
    """A stopped broker is found again where it was, with what it held."""
    first = EmbeddedBroker(folder)
    port = (await first.start()).port
    subscribe_for_later(port, "offline", "plant/#")
    publish(port, "plant/temperature", PAYLOADS)
    await first.stop()
    assert not answers(port)

    second = EmbeddedBroker(folder)
    address = await second.start()
    taken = take(address.port, "offline", "plant/#", len(PAYLOADS))
    await second.stop()
    assert (port, False, PAYLOADS) == (address.port, address.adopted, taken)


async def test_broker_of_a_killed_owner_is_adopted(folder: Path) -> None:
    """SIGKILL of the daemon leaves the broker to the next one, which may end it."""
    owner, port = await start_owner(folder)
    owner.kill()
    await owner.wait()
    pid = pid_of_broker(folder)

    broker = EmbeddedBroker(folder)
    address = await broker.start()
    assert (port, True, pid) == (address.port, address.adopted, pid_of_broker(folder))

    await broker.stop()
    assert not answers(port)


async def test_adopted_broker_is_watched_too(folder: Path) -> None:
    """A broker that is not our child is started again as well."""
    owner, port = await start_owner(folder)
    owner.kill()
    await owner.wait()
    broker = EmbeddedBroker(folder)
    await broker.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broker.run)
        killed = pid_of_broker(folder)
        os.kill(killed, signal.SIGKILL)
        while pid_of_broker(folder) == killed or not answers(port):
            await anyio.sleep(0.05)
        await broker.stop()
    assert read_address(folder) is None
    assert not answers(port)


async def test_stop_reaches_a_broker_that_is_being_started_again(folder: Path) -> None:
    """Between its new start and its first answer, it is not forgotten."""
    broker = EmbeddedBroker(folder)
    port = (await broker.start()).port
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(broker.run)
        killed = pid_of_broker(folder)
        os.kill(killed, signal.SIGKILL)
        while (started := pid_of_broker(folder)) == killed:
            await anyio.sleep(0)
        await broker.stop()
    assert not is_alive(started, "mosquitto.conf")
    assert not answers(port)


async def test_interrupt_from_the_terminal_spares_the_broker(folder: Path) -> None:
    """Ctrl-C reaches the whole foreground group; the daemon still needs its broker to drain."""
    owner, port = await start_owner(folder)
    os.killpg(owner.pid, signal.SIGINT)
    await owner.wait()
    assert answers(port)


async def test_kept_broker_goes_on(folder: Path) -> None:
    """`stop(keep=True)` leaves it running for the next owner."""
    first = EmbeddedBroker(folder)
    port = (await first.start()).port
    await first.stop(keep=True)
    assert answers(port)

    second = EmbeddedBroker(folder)
    address = await second.start()
    await second.stop()
    assert (port, True) == (address.port, address.adopted)
