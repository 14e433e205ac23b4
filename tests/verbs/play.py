"""All rows on a real daemon, a real broker and a real Redis: what each line printed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from tests.brokers import mosquitto
from tests.endtoend.harness import PATIENCE, Daemon, serving, write_project
from tests.executors.rq_parts import RedisServer

from .jobs import JOBS
from .masks import masked
from .program import ROOT, Program, program
from .project import FILES
from .python import PYTHON
from .row import Row, Section, Until
from .running import DAEMON, FOREGROUND
from .scheduling import SCHEDULES, SCHEDULING
from .workers import WORKERS

SECTIONS: Sequence[Section] = (FOREGROUND, DAEMON, JOBS, SCHEDULING, SCHEDULES, WORKERS, PYTHON)


async def play(folder: Path) -> Mapping[Row, Sequence[str]]:
    """What the lines of every row print in a project in `folder`; the exit code, where it is not 0, beside."""
    redis = RedisServer()
    redis.start()
    try:
        async with mosquitto() as broker:
            environ = {
                "FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}",
                "REDIS_URL": redis.url,
                "TZ": "UTC",
            }
            async with serving(write_project(folder, FILES), environ) as daemon:
                found = await _Player(folder, environ, daemon).play()
                assert 0 == await daemon.stop()
                return found
    finally:
        redis.kill()


class _Player:
    def __init__(self, folder: Path, environ: Mapping[str, str], daemon: Daemon) -> None:
        self._folder = folder
        self._environ = environ
        self._daemon = daemon
        #: Of the workers that were started in the background.
        self._pid = 0
        self._working = False

    async def play(self) -> dict[Row, Sequence[str]]:
        found: dict[Row, Sequence[str]] = {}
        async with program(self._folder, self._environ) as called:
            try:
                for row in (row for section in SECTIONS if not section.python for row in section.rows):
                    found[row] = [output async for output in self._outputs(called, row)]
            finally:
                self._end_workers()
        for section in SECTIONS:
            if section.python:
                found |= await self._session(section.rows)
        return found

    async def _outputs(self, called: Program, row: Row) -> AsyncIterator[str]:
        for line in row.here:
            if isinstance(line, str):
                yield await self._output(called, line)
            else:
                await self._until(line)

    async def _until(self, what: Until) -> None:
        async with asyncio.timeout(PATIENCE):
            while not what.is_so(await self._daemon.ask(what.command, **what.arguments)):
                await asyncio.sleep(0.02)

    async def _output(self, called: Program, line: str) -> str:
        words = shlex.split(line.replace("<pid>", str(self._pid)))
        if words[0] == "fp-events":
            code, output = await called(words[1:])
        else:
            # By the shell, which knows `kill` where there is no such program.
            process = await asyncio.create_subprocess_shell(shlex.join(words), cwd=self._folder)
            code, output = await process.wait(), ""
        if "--background" in words:
            self._pid, self._working = int(output.split()[0]), True
            await self._workers_say("started")
        if words[0] == "kill":
            await self._workers_say("unsubscribing")
            self._working = False
        return self._masked(output) + (f"\nexit code {code}" if code else "")

    def _masked(self, output: str) -> str:
        if self._pid:
            output = re.sub(rf"\b{self._pid}\b", "<pid>", output)
        return masked(output.replace(str(self._folder), "<folder>"))

    async def _workers_say(self, word: str) -> None:
        log = self._folder / ".fp-events" / "worker-hall-a.log"
        async with asyncio.timeout(PATIENCE):
            while len(re.findall(rf"Worker \S+: {word}", log.read_text())) < 2:
                await asyncio.sleep(0.02)

    def _end_workers(self) -> None:
        if self._working:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGTERM)

    async def _session(self, rows: Sequence[Row]) -> dict[Row, Sequence[str]]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.verbs.session"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=self._folder,
            env={**os.environ, **self._environ, "PYTHONPATH": str(ROOT)},
        )
        async with asyncio.timeout(PATIENCE):
            output, _ = await process.communicate(json.dumps([line for row in rows for line in row.lines]).encode())
        answers = iter(json.loads(output))
        return {row: [self._masked(next(answers)) for _ in row.lines] for row in rows}
