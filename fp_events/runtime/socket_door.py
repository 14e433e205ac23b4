"""The command table on a Unix socket in the project's folder: one JSON object a line, each way.

-> {"command": "status", "arguments": {}}
<- {"ok": true, "result": {...}}
<- {"ok": false, "error": {"kind": "PipelineNotFound", "what": "...", "where": "...", "mend": "...", "exit_code": 64}}
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from fp_events.domain.errors import (
    CommandRefused,
    DaemonUnavailable,
    FpEventsError,
    PipelineNotFound,
    RunNotFound,
    ScheduleNotFound,
    StorageError,
)

from .audit import Audit, peer
from .commands import CommandTable

#: Bytes of one request or reply.
LIMIT = 64 * 1024 * 1024
#: A Unix socket's path holds at most 107 bytes on Linux, 103 on macOS.
PATH_LIMIT = 100

_KINDS = {
    kind.__name__: kind for kind in (CommandRefused, PipelineNotFound, RunNotFound, ScheduleNotFound, StorageError)
}


def socket_path(folder: Path) -> Path:
    """Where the daemon of a project listens: in its folder, or, where that path is too long, in the temporary one."""
    path = folder / "control.sock"
    if len(os.fsencode(path)) <= PATH_LIMIT:
        return path
    digest = sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fp-events-{os.getuid()}-{digest}.sock"


def error_body(error: FpEventsError) -> dict[str, Any]:
    """An error as it travels in a reply."""
    return {
        "kind": type(error).__name__,
        "what": error.what,
        "where": error.where,
        "mend": error.mend,
        "exit_code": error.exit_code,
    }


class SocketDoor:
    """Serves the command table. The socket is the owner's alone (mode 0600)."""

    def __init__(self, path: Path, table: CommandTable, audit: Audit) -> None:
        self.path = path
        self._table = table
        self._audit = audit
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. A socket that an earlier process left behind is replaced: the ledger's lock says it is gone."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        previous = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self.path, limit=LIMIT)
        except OSError as error:
            raise StorageError(
                f"the control socket cannot be made ({error.strerror or error})",
                where=str(self.path),
                mend="make the folder writable",
            ) from error
        finally:
            os.umask(previous)

    async def close(self) -> None:
        """Stop listening; clients that still wait are hung up on."""
        if self._server is not None:
            self._server.close()
            with suppress(FileNotFoundError):
                self.path.unlink()
            for client in self._clients:
                client.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = asyncio.current_task()
        assert client is not None
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)
        who = peer(writer.get_extra_info("socket"))
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line, who)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, asyncio.LimitOverrunError, ValueError):
            pass  # the client went away, or sends what is no line
        except asyncio.CancelledError:
            pass  # `close`; asyncio's own streams would log it as an error
        finally:
            writer.close()

    async def _answer(self, line: bytes, who: str) -> dict[str, Any]:
        try:
            request = json.loads(line)
            name, arguments = request["command"], request.get("arguments") or {}
            if not isinstance(name, str) or not isinstance(arguments, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            refusal = CommandRefused("the request is not {command, arguments}", where="control socket")
            return {"ok": False, "error": error_body(refusal)}
        try:
            result = await self._table.call(name, arguments)
            self._audit.done("socket", who, name, arguments)
            return {"ok": True, "result": result}
        except FpEventsError as error:
            self._audit.refused("socket", who, name, arguments, str(error))
            return {"ok": False, "error": error_body(error)}


async def ask(folder: Path, command: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Send one command to the daemon of a project; raises DaemonUnavailable, or the error that it answers."""
    path = socket_path(folder)
    try:
        if path.lstat().st_uid != os.getuid() and path.parent != folder:
            # In the temporary folder anybody may put a socket where the daemon's belongs.
            raise PermissionError
        reader, writer = await asyncio.open_unix_connection(path, limit=LIMIT)
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise DaemonUnavailable(
            "no daemon is running for this project", where=str(folder.parent), mend="start one with `fp-events serve`"
        ) from error
    except PermissionError as error:
        raise DaemonUnavailable(
            "the daemon's control socket belongs to another user", where=str(path), mend="run as that user"
        ) from error
    try:
        writer.write(json.dumps({"command": command, "arguments": dict(arguments)}).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    if not line:
        raise DaemonUnavailable("the daemon ended while it was asked", where=str(path))
    reply: dict[str, Any] = json.loads(line)
    if reply["ok"]:
        result: dict[str, Any] = reply["result"]
        return result
    raise _error(reply["error"])


def _error(body: Mapping[str, Any]) -> FpEventsError:
    kind = _KINDS.get(body["kind"], CommandRefused)
    error = kind.__new__(kind)
    FpEventsError.__init__(error, body["what"], where=body["where"], mend=body["mend"])
    return error
