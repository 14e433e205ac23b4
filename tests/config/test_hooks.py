"""`hooks` and `resources`, in the project's file and in a pipeline's."""

from __future__ import annotations

from pathlib import Path

import pytest

from fp_events.domain.hooks import Named

from .projects import loaded, refused, write

A = "conf/pipelines/a.yml"


def test_the_projects_come_before_the_pipelines(tmp_path: Path) -> None:
    """Hooks of both are called; a resource of the pipeline takes the place of the project's."""
    root = write(
        tmp_path,
        project="hooks: {after_run: hooks.a:one}\nresources: {db: hooks.r:db, cache: hooks.r:cache}\n",
        a="hooks:\n  after_run: [hooks.a:two, hooks.a:three]\n  message: hooks.m:unpack\nresources:\n  db: hooks.r:own\n",
    )

    pipeline = loaded(root).pipelines["a"]

    assert {
        "after_run": (Named("hooks.a:one", shared=True), Named("hooks.a:two"), Named("hooks.a:three")),
        "message": (Named("hooks.m:unpack"),),
    } == pipeline.hooks
    assert {"db": Named("hooks.r:own"), "cache": Named("hooks.r:cache", shared=True)} == pipeline.resources
    assert ["conf/project.yml:1", f"{A}:2", f"{A}:2"] == [named.where for named in pipeline.hooks["after_run"]]
    assert [f"{A}:5", "conf/project.yml:2"] == [named.where for named in pipeline.resources.values()]


def test_the_environment_names_hooks_too(tmp_path: Path) -> None:
    """As a list in JSON."""
    root = write(tmp_path, a="hooks:\n  after_run: hooks.a:two\n")
    environ = {"FP_EVENTS_PIPELINES__A__HOOKS__AFTER_RUN": '["hooks.e:other"]'}

    assert {"after_run": (Named("hooks.e:other"),)} == loaded(root, environ).pipelines["a"].hooks


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hooks: {before_runs: hooks.a:f}\n", "unknown key 'hooks.before_runs'; did you mean 'before_run'?"),
        (
            "hooks: {message: hooks.a}\n",
            "hooks.message: expected a function such as hooks.notify:failed, got 'hooks.a'",
        ),
        ("hooks: {message: [hooks.a:f, 3]}\n", "hooks.message: expected text, got 3: put it in quotes"),
        ("hooks: hooks.a:f\n", "hooks: expected a block of keys, got 'hooks.a:f'"),
        ("resources: {db: open}\n", "resources.db: expected a function such as hooks.notify:failed, got 'open'"),
        ("resources: [db]\n", "resources: expected a block of keys, got a list"),
        ("resources: {1db: hooks.a:f}\n", "resources.1db: as a key: expected a name such as reading, got '1db'"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """In either file."""
    assert [f"{A}:1: {said}"] == refused(write(tmp_path, a=text))
    assert [f"conf/project.yml:1: {said}"] == refused(write(tmp_path / "project", project=text))
