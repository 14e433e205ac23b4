"""A case as a process: the real program in a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.endtoend.harness import write_project

from .case import Case

#: Seconds until a program that should have ended, or spoken, is taken for one that accepts what is wrong.
PATIENCE = 40


@dataclass(frozen=True, slots=True)
class Answer:
    """What the program did."""

    #: Sentences on stderr, log lines left out.
    says: str
    code: int
    #: Log lines on stderr, as text.
    log: str
    #: Messages that it has accepted.
    accepted: int


async def answer(case: Case, folder: Path, texts: Mapping[str, str] | None = None) -> Answer:
    """Run a case in an empty folder; with `texts` for placeholders, in one that is prepared."""
    if texts is None:
        write_project(folder, case.project())
    async with contextlib.AsyncExitStack() as stack:
        texts = {"folder": str(folder), **(texts or {})}
        if case.around is not None:
            texts.update(await stack.enter_async_context(case.around(folder)))
        had_ledger = (folder / ".fp-events" / "ledger.db").exists()
        arguments = [_filled(argument, texts) for argument in case.arguments]
        environ = {name: _filled(text, texts) for name, text in case.environ.items()}
        said, code = await _run(case, arguments, environ, folder)
        accepted = 0 if had_ledger else _accepted(folder / ".fp-events" / "ledger.db")
    log = [line for line in said if line.startswith("{")]
    spoken = [line for line in said if not line.startswith("{")]
    # Beside an error there may be a note of what was done, such as how long a run took.
    sentences = [line for line in spoken if line.startswith(("error: ", "warning: "))] or spoken
    if case.event:
        sentences = [str(line["error"]) for line in map(json.loads, log) if line["event"] == case.event][:1] + sentences
    told = "\n".join(sentences)
    for name, text in texts.items():
        told = told.replace(text, f"<{name}>")
    for name, pattern in case.volatile.items():
        told = re.sub(pattern, f"<{name}>", told)
    return Answer(told, code, "\n".join(log), accepted)


async def _run(case: Case, arguments: list[str], environ: Mapping[str, str], folder: Path) -> tuple[list[str], int]:
    """Lines on stderr and the exit code."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FP_EVENTS_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fp_events.cli", *arguments),
        cwd=folder,
        env={**clean, **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    lines: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            async for raw in process.stderr:
                lines.append(raw.decode().rstrip("\n"))
                if case.event and f'"event":"{case.event}"' in lines[-1]:
                    _signal(process, signal.SIGTERM)
            return lines, await process.wait()
    except TimeoutError:
        raise AssertionError(f"the program goes on in spite of what is wrong: {lines}") from None
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Drain it, so that an embedded broker ends too."""
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        _signal(process, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), 5)


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)


def _filled(text: str, texts: Mapping[str, str]) -> str:
    for name, value in texts.items():
        text = text.replace(f"<{name}>", value)
    return text


def _accepted(ledger: Path) -> int:
    """Messages in a ledger that the program may have made."""
    if not ledger.exists():
        return 0
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        (count,) = db.execute("SELECT count(*) FROM messages").fetchone()
    return int(count)
