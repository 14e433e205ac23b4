"""What is said before anything runs, where the extra is missing, and what is shown of a password."""

from __future__ import annotations

from pathlib import Path

import pytest

from fp_events import config as configuration
from fp_events.app import places
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


@pytest.mark.parametrize(("executor", "package"), [("rq", "rq"), ("ray", "ray"), ("dask", "distributed")])
def test_a_missing_extra_is_named_with_its_command(
    project: Path, monkeypatch: pytest.MonkeyPatch, executor: str, package: str
) -> None:
    """`check` refuses the pipeline, and a schedule that asks for the executor, and says what to install."""
    (project / "conf/project.yml").write_text("name: plant\n")
    (project / "conf/pipelines/press.yml").write_text(
        f"run: {{executor: {executor}}}\nschedule: {{cron: '@daily', inputs: {{payload: 1}}, executor: {executor}}}\n"
    )
    monkeypatch.setattr(places, "find_spec", lambda name: None if name == package else object())

    problems = [str(problem) for problem in check(configuration.load(project))]

    said = f"the executor '{executor}' needs the package {package}, which is not installed; "
    said += f"pip install 'fp-events[{executor}]'"
    assert [f"conf/pipelines/press.yml:2: {said}", f"conf/pipelines/press.yml:1: {said}"] == problems


def test_the_password_is_shown_nowhere(project: Path) -> None:
    """Neither by `config show` nor in what a debugger prints of the pipelines."""
    config = configuration.load(project)

    shown = f"{config.show(origins=True)} {config.pipelines}"

    assert "redis.example" in shown
    assert "s3cret" not in shown
