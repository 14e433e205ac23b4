"""What lives beside a project: brokers that say no, ports and folders that are taken, ledgers in a bad state."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from fp_events.ledgers.sqlite import SqliteLedger
from tests.brokers import acl_lines, mosquitto, password_lines
from tests.certificates import Authority
from tests.support import free_port, require_program


@contextlib.asynccontextmanager
async def nobody(_: Path) -> AsyncIterator[Mapping[str, str]]:
    """A port that nobody listens on."""
    yield {"port": str(free_port())}


@contextlib.asynccontextmanager
async def broker(_: Path) -> AsyncIterator[Mapping[str, str]]:
    """A broker that lets everybody in."""
    async with mosquitto() as running:
        yield {"port": str(running.port)}


@contextlib.asynccontextmanager
async def broker_with_password(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A broker that knows `plant` with the password `right`."""
    async with mosquitto(password_lines(folder, {"plant": "right"})) as running:
        yield {"port": str(running.port)}


@contextlib.asynccontextmanager
async def broker_with_rights(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A broker where everybody may write below fp/ and nobody below alerts/."""
    async with mosquitto(acl_lines(folder, ["topic readwrite fp/#", "topic read plant/#"])) as running:
        yield {"port": str(running.port)}


@contextlib.asynccontextmanager
async def broker_without_subscriptions(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A broker that lets nobody subscribe to anything. Access files cannot say that, Mosquitto's own plugin can."""
    access = {"publishClientSend": True, "publishClientReceive": True, "subscribe": False, "unsubscribe": True}
    rules = folder / "security.json"
    rules.write_text(json.dumps({"defaultACLAccess": access, "clients": [], "groups": [], "roles": []}))
    rules.chmod(0o600)
    plugin = _plugin("mosquitto_dynamic_security.so")
    async with mosquitto([f"plugin {plugin}", f"plugin_opt_config_file {rules}"]) as running:
        yield {"port": str(running.port)}


def _plugin(name: str) -> Path:
    """Where Mosquitto's plugin is; without it the test is skipped, or fails where CI=true."""
    program = Path(require_program("mosquitto")).resolve()
    found = next((path for folder in ("lib", "lib64") for path in (program.parents[1] / folder).rglob(name)), None)
    if found is None:
        require_program(name)
    assert found is not None
    return found


@contextlib.asynccontextmanager
async def broker_of_another_authority(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A broker with TLS, and in `ca.pem` an authority that has not signed its certificate."""
    keys = folder / "keys"
    keys.mkdir()
    certificate = Authority(keys).issue("broker", subject_alternative="IP:127.0.0.1")
    (folder / "ca.pem").write_bytes(Authority(keys, "other").own.cert.read_bytes())
    async with mosquitto([f"certfile {certificate.cert}", f"keyfile {certificate.key}"]) as running:
        yield {"port": str(running.port)}


@contextlib.asynccontextmanager
async def dumb_server(_: Path) -> AsyncIterator[Mapping[str, str]]:
    """A server that is no broker: it answers as HTTP servers do."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield {"port": str(server.sockets[0].getsockname()[1])}


@contextlib.asynccontextmanager
async def file_for_folder(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """`.fp-events` is a file."""
    (folder / ".fp-events").write_text("")
    yield {}


@contextlib.asynccontextmanager
async def ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A ledger that an earlier daemon has left."""
    await _make_ledger(folder)
    yield {}


@contextlib.asynccontextmanager
async def held_ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A ledger that another daemon holds: this process."""
    (folder / ".fp-events").mkdir()
    held = SqliteLedger(folder / ".fp-events" / "ledger.db")
    await held.open()
    try:
        yield {"pid": str(os.getpid())}
    finally:
        await held.close()


@contextlib.asynccontextmanager
async def torn_ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A ledger whose end is missing."""
    path = await _make_ledger(folder)
    path.write_bytes(path.read_bytes()[:-4096])
    yield {}


@contextlib.asynccontextmanager
async def scribbled_ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A ledger over whose beginning somebody has written."""
    path = await _make_ledger(folder)
    path.write_bytes(b"not a ledger" * 20 + path.read_bytes()[240:])
    yield {}


@contextlib.asynccontextmanager
async def spoiled_ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A ledger of which one page is zeros: the table of identities cannot be read."""
    path = await _make_ledger(folder)
    with contextlib.closing(sqlite3.connect(path)) as db:
        (page,) = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'dedup'").fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
    whole = bytearray(path.read_bytes())
    whole[(page - 1) * size : page * size] = bytes(size)
    path.write_bytes(whole)
    yield {}


@contextlib.asynccontextmanager
async def newer_ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A ledger of a version that does not exist yet."""
    path = await _make_ledger(folder)
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    yield {}


@contextlib.asynccontextmanager
async def foreign_ledger(folder: Path) -> AsyncIterator[Mapping[str, str]]:
    """A SQLite file of another program."""
    (folder / ".fp-events").mkdir()
    with contextlib.closing(sqlite3.connect(folder / ".fp-events" / "ledger.db")) as db:
        db.execute("CREATE TABLE photos (id)")
    yield {}


async def _make_ledger(folder: Path) -> Path:
    (folder / ".fp-events").mkdir()
    path = folder / ".fp-events" / "ledger.db"
    made = SqliteLedger(path)
    await made.open()
    await made.close()
    return path
