"""docs/tasks.md: its scripts print what is shown, and its table names tests that there are."""

from __future__ import annotations

import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "tasks.md"


def scripts() -> Iterator[tuple[str, str]]:
    """Blocks of Python that are no file of a project, and the block after each."""
    found = blocks(PAGE)
    for block, after in itertools.pairwise(found):
        if block.language == "python" and block.file is None:
            assert after.language == "text"
            yield block.text, after.text.rstrip("\n")


def test_examples_print_what_is_shown(tmp_path: Path) -> None:
    """Each is a script `flow.py`; of a traceback the last line is shown. ``…`` stands for anything."""
    count = 0
    for number, (source, shown) in enumerate(scripts()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "flow.py").write_text(source)
        done = subprocess.run(
            [sys.executable, "flow.py"], cwd=folder, capture_output=True, text=True, check=False, timeout=60
        )
        error = done.stderr.splitlines()[-1].removeprefix("fp_events.domain.errors.") if done.returncode else ""
        pattern = ".*".join(re.escape(part) for part in shown.split("…"))
        assert re.fullmatch(pattern, done.stdout.rstrip("\n") + error), (shown, done.stdout, done.stderr)
        count += 1
    assert 8 == count


def test_the_table_names_tests_that_there_are() -> None:
    """Each row of flowkit's features has a proof."""
    section = PAGE.read_text().partition("## flowkit's features")[2]
    rows = [line for line in section.splitlines() if line.startswith("| ")][1:]
    missing = []
    for row in rows:
        (proof,) = re.findall(r"`((?:tests|fp_events)/[\w/.]+)(?:::(\w+))?` \|$", row)
        file = ROOT / proof[0]
        if not file.is_file() or (proof[1] and f"def {proof[1]}(" not in file.read_text()):
            missing.append(row)
    assert (True, []) == (len(rows) > 30, missing)
