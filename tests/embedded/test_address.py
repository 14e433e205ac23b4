"""Where the embedded broker listens, and who finds it there."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from anyio.to_thread import run_sync

from fp_events.brokers import EmbeddedBroker, read_address
from fp_events.brokers import embedded as module
from fp_events.brokers.address import BrokerRecord, read_record, write_record
from fp_events.brokers.probe import answers
from fp_events.domain.errors import BrokerUnavailable, ConfigError, StorageError
from tests.support import free_port

from .clients import publish, take


async def test_other_processes_find_it(folder: Path) -> None:
    """`broker.json` leads to a broker that answers, and to nothing once it is stopped."""
    broker = EmbeddedBroker(folder)
    address = await broker.start()
    found = read_address(folder)
    await broker.stop()
    assert found is not None
    assert (address.url, "5", True) == (found.url, found.protocol, found.durable)
    assert read_address(folder) is None


async def test_it_listens_on_loopback_alone(folder: Path) -> None:
    """Nobody on the network reaches a broker that asks for no password."""
    broker = EmbeddedBroker(folder)
    address = await broker.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; picks the address that the network would see
        own = probe.getsockname()[0]
    with socket.socket() as outside:
        outside.settimeout(2)
        refused = outside.connect_ex((own, address.port))
    await broker.stop()
    assert ("127.0.0.1", True) == (address.host, own == "127.0.0.1" or refused != 0)


async def test_wanted_port_is_used(folder: Path) -> None:
    """A port that the project names is the only one tried, and leaves no doubt when it changes."""
    for port in (free_port(), free_port()):
        broker = EmbeddedBroker(folder, port=port)
        address = await broker.start()
        await broker.stop(keep=True)
        assert (port, True) == (address.port, answers(port))


async def test_wanted_port_that_is_taken_is_an_error(folder: Path) -> None:
    """The error names the port."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} is taken"):
            await EmbeddedBroker(folder, port=port).start()


async def test_port_of_last_time_that_is_taken_is_replaced(folder: Path) -> None:
    """Somebody else listens where the broker was: it goes elsewhere, and is found there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        folder.mkdir(parents=True)
        write_record(folder, BrokerRecord(port=port, kind="mosquitto", pid=None, mark="mosquitto.conf"))
        broker = EmbeddedBroker(folder)
        address = await broker.start()
        found = read_address(folder)
        await broker.stop()
    assert found is not None
    assert port != address.port == found.port


async def test_second_owner_borrows(folder: Path) -> None:
    """While one process owns the broker, another is given its address and cannot stop it."""
    owner, guest = EmbeddedBroker(folder), EmbeddedBroker(folder)
    address = await owner.start()
    borrowed = await guest.start()
    await guest.stop()
    assert (address.port, True, True) == (borrowed.port, borrowed.adopted, answers(address.port))
    await owner.stop()
    assert not answers(address.port)


async def test_stranger_with_the_recorded_number_is_left_alone(folder: Path) -> None:
    """Process numbers are used again: neither adopted nor killed."""
    folder.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as stranger:
        mark = str(folder / "mosquitto.conf")
        write_record(folder, BrokerRecord(port=free_port(), kind="mosquitto", pid=stranger.pid, mark=mark))
        broker = EmbeddedBroker(folder)
        address = await broker.start()
        await broker.stop()
        assert (False, None) == (address.adopted, stranger.poll())
        stranger.communicate()


async def test_another_broker_on_the_recorded_port_is_not_ours(folder: Path, tmp_path: Path) -> None:
    """An answer is not enough: the broker must be the one that was started here."""
    other = EmbeddedBroker(tmp_path / "other", port=free_port())
    address = await other.start()
    broker = EmbeddedBroker(folder, port=free_port())
    await broker.start()
    record = read_record(folder)
    assert record is not None
    lie = BrokerRecord(port=address.port, kind="mosquitto", pid=record.pid, mark=record.mark, name=record.name)
    write_record(folder, lie)
    found = read_address(folder)
    await broker.stop()
    await other.stop()
    assert found is None


async def test_broken_record_is_passed_over(folder: Path) -> None:
    """A `broker.json` that is no JSON does not stop the start."""
    folder.mkdir(parents=True)
    (folder / "broker.json").write_text("{")
    broker = EmbeddedBroker(folder)
    await broker.start()
    assert read_address(folder) is not None
    await broker.stop()


async def test_unusable_folder_is_an_error(tmp_path: Path) -> None:
    """The error names the folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot use its folder"):
        await EmbeddedBroker(tmp_path / "file" / ".fp-events").start()


async def test_damaged_database_is_reported(folder: Path) -> None:
    """When Mosquitto refuses to start, its own words are in the error, and nothing is left running."""
    folder.mkdir(parents=True)
    (folder / "mosquitto.db").write_bytes(b"\0" * 3)
    (folder / "mosquitto.db").chmod(0o600)
    with pytest.raises(BrokerUnavailable, match=r"did not start on port \d+: Error"):
        await EmbeddedBroker(folder).start()
    record = read_record(folder)
    assert record is not None
    assert not record.alive()


async def test_without_any_broker_both_mends_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A newcomer reads what to install."""
    monkeypatch.setattr(module, "find_mosquitto", lambda: None)
    monkeypatch.setattr(module, "amqtt_installed", lambda: False)
    with pytest.raises(BrokerUnavailable, match=r"apt install mosquitto.*pip install 'fp-events\[amqtt\]'"):
        await EmbeddedBroker(tmp_path).start()


AMQTT = """
import asyncio, sys
from pathlib import Path
from fp_events.brokers import EmbeddedBroker, embedded

embedded.find_mosquitto = lambda: None

async def main():
    broker = EmbeddedBroker(Path(sys.argv[1]))
    address = await broker.start()
    print(address.port, address.durable, address.protocol, flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await broker.stop()

asyncio.run(main())
"""


async def test_amqtt_stands_in(tmp_path: Path) -> None:
    """Without Mosquitto, a broker inside the process carries messages, and says that it is not durable."""
    # A process of its own: amqtt leaves connections for the garbage collector, and a test after it would be blamed.
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", AMQTT, str(tmp_path), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert owner.stdout is not None
    port, durable, protocol = (await owner.stdout.readline()).decode().split()
    await run_sync(lambda: publish(int(port), "a", ["one"], retain=True))
    taken = await run_sync(take, int(port), "device", "a", 1)
    found = await run_sync(read_address, tmp_path)
    await owner.communicate(b"")
    assert found is not None
    assert ("amqtt", "False", "3.1.1", ["one"]) == (found.kind, durable, protocol, taken)
    assert not await run_sync(answers, int(port))
