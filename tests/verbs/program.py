"""`fp-events` as often as wanted, each time a process of its own, and quickly: what it imports is imported once.

``python -m tests.verbs.program`` forks for every line of its standard input, which is a JSON list of arguments, and
answers with a line: ``[exit code, output]``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: Seconds that a call may take at the most.
PATIENCE = 30


class Program:
    """The program, called in the folder of a project."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def __call__(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Exit code, and what a terminal would show."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
        async with asyncio.timeout(PATIENCE):
            code, output = json.loads(await self._process.stdout.readline())
        return code, output


@contextlib.asynccontextmanager
async def program(folder: Path, environ: Mapping[str, str]) -> AsyncIterator[Program]:
    """The program in `folder`, for as long as the block lasts."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.verbs.program"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=folder,
        env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
        limit=1 << 20,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        await process.wait()


def _serve() -> None:
    import fp_events.app.calling
    import fp_events.runtime.socket_door  # noqa: F401 - each child would import it again
    from fp_events import config
    from fp_events.cli.main import main

    # What is built at the first call stays for all.
    config.load(Path.cwd())

    for line in sys.stdin:
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                # As on a terminal: what is said on both comes in its order.
                sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # it is a file
                code = main(json.loads(line))
                sys.stdout.flush()
                os._exit(code)
            _, status = os.waitpid(child, 0)
            output.seek(0)
            print(json.dumps([os.waitstatus_to_exitcode(status), output.read().decode()]), flush=True)


if __name__ == "__main__":
    _serve()
