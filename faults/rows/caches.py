"""Row 47: kept values that are damaged, foreign or old."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

from faults.load import Setup, load
from faults.row import Found, Run, row
from tests.endtoend.harness import Listener, send

#: Seconds that a value is good for; what is used so much later was expired for sure.
TTL: Final = 0.5
LATE: Final = 1.5
NUMBERS: Final = 20

KEPT: Final = {
    "conf/pipelines/kept.yml": f"""\
triggers: [{{topic: "kept/in/{{number}}", map: {{number: topic.number, turn: payload}}}}]
outputs: [{{node: result, topic: "kept/out"}}]
run: {{cache: {{only: [answer], ttl: {TTL}}}}}
""",
    "pipelines/kept.py": '''\
"""Keeps what it has computed."""

import time


def answer(number: str) -> dict:
    """Kept."""
    return {"number": number, "square": int(number) ** 2, "made": time.time(), "blob": "x" * 500}


def result(answer: dict, turn: int) -> dict:
    """Of each message."""
    return {"number": answer["number"], "square": answer["square"], "turn": turn, "age": time.time() - answer["made"]}
''',
}


def _cut(file: Path, rng: Random, _: list[Path]) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: rng.randrange(len(data) or 1)])


def _flip(file: Path, rng: Random, _: list[Path]) -> None:
    data = bytearray(file.read_bytes())
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        file.write_bytes(data)


def _another(file: Path, rng: Random, files: list[Path]) -> None:
    file.write_bytes(rng.choice(files).read_bytes())


def _garbage(file: Path, rng: Random, _: list[Path]) -> None:
    file.write_bytes(rng.randbytes(rng.randrange(2000)))


def _gone(file: Path, _: Random, __: list[Path]) -> None:
    file.unlink()


_DAMAGES: Final[tuple[Callable[[Path, Random, list[Path]], None], ...]] = (_cut, _flip, _another, _garbage, _gone)


@row("47", "a cached value is corrupt or expired", "computed again; wrong hits 0")
async def cached_values(run: Run) -> Found:
    """Entries are cut, flipped, exchanged, overwritten and deleted while runs take them, and get old."""
    times = run.times(2000, 40)
    wrong = late = 0
    async with load(run.folder, Setup(files=KEPT)) as on, Listener(on.broker.port, "kept/out") as listener:
        await on.daemon.start()
        folder = on.daemon.project / ".fp-events" / "cache" / "kept" / "answer"
        for turn in range(times):
            number = run.rng.randrange(NUMBERS)
            await send(on.broker.port, f"kept/in/{number}", turn)
            found = (await listener.next("kept/out", turn + 1))[-1].json
            wrong += (found["number"], found["square"], found["turn"]) != (str(number), number**2, turn)
            late += found["age"] > LATE
            files = list(folder.glob("*.fpc"))
            # It may have gone meanwhile, to make room.
            with contextlib.suppress(FileNotFoundError):
                run.rng.choice(_DAMAGES)(run.rng.choice(files), run.rng, files)
            if turn % 50 == 49:
                await asyncio.sleep(LATE)
        counts = (await on.daemon.ask("status"))["cache"]["kept"]
        account = await on.settle()
    held = account.sound and not wrong and not late and counts["hits"] > 0 and counts["damaged"] > 0
    figure = (
        f"wrong hits {wrong}, expired ones taken {late}; hits {counts['hits']}, damaged {counts['damaged']}, "
        f"expired {counts.get('expired', 0)}; {account}"
    )
    return Found(figure=figure, held=held, n=times)
