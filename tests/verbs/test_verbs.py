"""docs/job-queue.md is what the commands print, and nothing of FlowerPower's is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .guide import COMMANDS, JOB_QUEUE_MANAGER, PIPELINE_MANAGER
from .play import SECTIONS, play
from .write_docs import DOCUMENT, document

THEIRS = [line for section in SECTIONS for row in section.rows for line in row.theirs]


@pytest.mark.timeout(180)
async def test_the_page_is_what_the_commands_print(tmp_path: Path) -> None:
    """All of them once more, on a daemon of their own; `python -m tests.verbs.write_docs` writes the page."""
    assert DOCUMENT.read_text(encoding="utf-8") == document(await play(tmp_path))


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_of_a_verb_is_on_the_page(verb: str) -> None:
    """Each verb of FlowerPower, and each of its options, in some line of that verb."""
    lines = [line for line in THEIRS if line == verb or line.startswith(f"{verb} ")]
    written = {word for line in lines for word in re.findall(r"--[a-z-]+", line)}

    assert (True, set()) == (bool(lines), set(COMMANDS[verb]) - written)


@pytest.mark.parametrize(
    ("manager", "names"),
    [("pm", PIPELINE_MANAGER), ("jq", JOB_QUEUE_MANAGER)],
    ids=["PipelineManager", "JobQueueManager"],
)
def test_every_name_in_python_is_on_the_page(manager: str, names: tuple[str, ...]) -> None:
    """Methods and attributes, called or read."""
    written = {name for line in THEIRS for name in re.findall(rf"\b{manager}\.(\w+)", line)}

    assert set() == set(names) - written


def test_every_row_has_a_command_or_says_why_not() -> None:
    """What has no counterpart says what there is instead."""
    assert [] == [row.theirs for section in SECTIONS for row in section.rows if not row.lines and not row.note]
