"""A FlowerPower project that was not migrated is told of the command that does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fp_events import config
from fp_events.domain.errors import ConfigError

from . import projects


@pytest.mark.parametrize(
    ("files", "hints"),
    [
        (projects.MIDDLE, {"open_telemetry", "tracker", "worker", "run.with_opentelemetry", "run.with_tracker"}),
        (projects.QUEUE, {"job queue"}),
        (projects.TODAY, {"hooks_dir"}),
    ],
    ids=["middle", "queue", "today"],
)
def test_old_keys_name_the_command(files: dict[str, str], hints: set[str], tmp_path: Path) -> None:
    """Of every layout, with file and line, whatever else is wrong."""
    old = projects.write(files, tmp_path)

    with pytest.raises(ConfigError) as refused:
        config.load(old, environ={"LIMIT": "4", "TRACKER_KEY": "k"})

    told = [str(problem) for problem in refused.value.problems if "fp-events migrate" in str(problem)]
    assert len(hints) <= len(told)
    assert [] == [hint for hint in hints if not any(hint.rpartition(".")[2] in line for line in told)]
