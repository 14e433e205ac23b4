"""What is said before anything runs, where the extra is missing, and what is shown of a password."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from fp_events import config as configuration
from fp_events.app.building import check

FILES = {
    "conf/project.yml": "name: plant\nrun:\n  executor: {type: rq, url: 'redis://:s3cret@redis.example/0'}\n",
    "pipelines/press.py": "def held(payload: int) -> int:\n    return payload\n",
    "conf/pipelines/press.yml": "triggers: [{topic: in}]\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose pipelines run on workers."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_missing_extra_is_named_with_its_command(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` refuses the pipeline and says what to install."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rq" else find(name))

    problems = [str(problem) for problem in check(configuration.load(project))]

    assert [
        "conf/project.yml:3: the executor 'rq' needs the package rq, which is not installed; pip install 'fp-events[rq]'"
    ] == problems


def test_the_password_is_shown_nowhere(project: Path) -> None:
    """Neither by `config show` nor in what a debugger prints of the pipelines."""
    config = configuration.load(project)

    shown = f"{config.show(origins=True)} {config.pipelines}"

    assert "redis.example" in shown
    assert "s3cret" not in shown
