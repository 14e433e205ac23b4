"""A daemon on a real broker that is given everything wrong at once."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.brokers import Mosquitto, mosquitto
from tests.endtoend.harness import Daemon, Sink, serving, write_project
from tests.support import require_program

from .case import PROJECT
from .messages import FILES, MESSAGES, REQUESTS

PATIENCE = 45


@dataclass(slots=True)
class Told:
    """What came of everything that was sent."""

    folder: Path
    port: int
    pid: int
    #: Name of a message -> its run, as `runs list` has it.
    runs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    #: Payloads on the dead letters' topic.
    dead_letters: Sequence[bytes] = ()
    #: Errors of the replies, in the order of the requests.
    refusals: Sequence[str] = ()

    def volatile(self, sentence: str) -> Mapping[str, str]:
        """Placeholder -> what stands in its place in `sentence`."""
        age = re.search(r"sent (\d+) s ago", sentence)
        return {"seconds": age[1]} if age else {}


@contextlib.asynccontextmanager
async def told(folder: Path) -> AsyncIterator[Told]:
    """A running daemon that has been sent every wrong message and request."""
    async with mosquitto() as broker:
        project = write_project(folder, {**PROJECT, **FILES})
        async with serving(project, {"PORT": str(broker.port)}) as daemon:
            yield await _send_all(daemon, broker, Told(project, broker.port, daemon.pid))


async def _send_all(daemon: Daemon, broker: Mosquitto, told: Told) -> Told:
    async with Sink(broker.port, "fp/plant/dlq/+") as letters, Sink(broker.port, "fp/plant/reply/+") as replies:
        for message in MESSAGES:
            await _publish(broker.port, f"plant/{message.name}/temperature", message.payload)
        for request in REQUESTS:
            payload = request.payload.replace(b"<now>", str(time.time()).encode())
            await _publish(broker.port, f"fp/plant/control/{request.command}", payload)
        await letters.until(lambda found: len(found) >= len(MESSAGES), PATIENCE)
        await replies.until(lambda found: len(found) >= len(REQUESTS), PATIENCE)
        told.dead_letters = [payload for _, payload, _ in letters.messages]
        told.refusals = [_sentence(payload) for _, payload, _ in replies.messages]
    listed = await daemon.ask("runs.list", limit=1000)
    told.runs = {run["key"]: run for run in listed["runs"]}
    return told


async def _publish(port: int, topic: str, payload: bytes) -> None:
    with tempfile.TemporaryFile() as source:
        source.write(payload)
        source.seek(0)
        process = await asyncio.create_subprocess_exec(
            require_program("mosquitto_pub"),
            *("-p", str(port), "-q", "1", "-t", topic, "-V", "mqttv5", *(("-s",) if payload else ("-n",))),
            stdin=source,
        )
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0


def _sentence(payload: bytes) -> str:
    error = json.loads(payload)["error"]
    where = f"{error['where']}: " if error["where"] else ""
    return f"{where}{error['what']}" + (f"; {error['mend']}" if error["mend"] else "")
