"""docs/job-queue.md from commands that are run: ``python -m tests.verbs.write_docs`` writes it."""

from __future__ import annotations

import asyncio
import re
import tempfile
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .play import SECTIONS, play
from .program import ROOT
from .project import FILES
from .row import Row

DOCUMENT = ROOT / "docs" / "job-queue.md"

_HEAD = """\
# FlowerPower's job queue, verb by verb

Every verb and option of FlowerPower's job queue and its schedules: first as FlowerPower writes it, then what is written
here, with what it printed, errors too. Other keys and names are in [flowerpower.md](flowerpower.md); [runs.md](runs.md),
[schedules.md](schedules.md) and [workers.md](workers.md) say what the commands mean.

This page is written by a program, `tests/verbs/write_docs.py`: it runs all commands below, in this order, on one
daemon with a Mosquitto and a Redis, and a test compares what they print with what is here. `<words>` differ from run to
run. What `add_job`, `run_job` and `schedule_all` are in FlowerPower's guide is `add-job`, `run-job` and
`schedule-all` in its program.

Without a counterpart are jobs that are any function rather than a run of a pipeline, their `group_id`, `meta` and
`on_stopped`, starting workers from Python, and whatever says where the queue is.

| FlowerPower | |
|---|---|
"""
_PROJECT = """\
## The project

With it a daemon runs: `fp-events serve`.
"""
_LANGUAGES = {".yml": "yaml", ".py": "python"}


def document(found: Mapping[Row, Sequence[str]]) -> str:
    """The whole of docs/job-queue.md. `found`: what the lines of every row print."""
    return "\n".join([_HEAD + "".join(_contents()), _PROJECT, *_project(), *_sections(found)]).rstrip("\n") + "\n"


def _contents() -> Iterator[str]:
    for section in SECTIONS:
        anchor = re.sub(r"[^\w\- ]", "", section.title.lower()).replace(" ", "-")
        yield f"| {', '.join(verb.title for verb in section.verbs)} | [{section.title}](#{anchor}) |\n"


def _project() -> Iterator[str]:
    for name, text in FILES.items():
        yield f"```{_LANGUAGES[Path(name).suffix]}\n# {name}\n{text}```\n"


def _sections(found: Mapping[Row, Sequence[str]]) -> Iterator[str]:
    for section in SECTIONS:
        yield f"## {section.title}\n"
        if section.note:
            yield section.note + "\n"
        for verb in section.verbs:
            yield f"### {verb.title}\n"
            for row in verb.rows:
                yield from _row(row, found[row], python=section.python)


def _row(row: Row, outputs: Sequence[str], *, python: bool) -> Iterator[str]:
    start = "" if python else "flowerpower "
    yield f"```{'python' if python else 'bash'}\n" + "".join(f"{start}{line}\n" for line in row.theirs) + "```\n"
    if row.lines:
        prompt = ">>> " if python else "$ "
        lines = [
            part for line, output in zip(row.lines, outputs, strict=True) for part in (prompt + line, output) if part
        ]
        yield f"```{'pycon' if python else 'console'}\n" + "\n".join(lines) + "\n```\n"
    if row.note:
        yield "\n".join(textwrap.wrap(row.note, 120, break_long_words=False, break_on_hyphens=False)) + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        DOCUMENT.write_text(document(asyncio.run(play(Path(folder)))), encoding="utf-8")
