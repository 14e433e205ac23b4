"""`run.cache` in files and variables, and what a schedule says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from fp_events.cache import CACHES
from fp_events.domain.caching import CacheSpec
from fp_events.domain.errors import UsageError
from tests.endtoend.harness import write_project

CODE = "def y(x: int = 1) -> int:\n    return x\n"


def loaded(folder: Path, project: str, pipeline: str, environ: dict[str, str] | None = None) -> config.Config:
    """A project of one pipeline, with these `run` blocks."""
    write_project(
        folder,
        {
            "conf/project.yml": f"name: plant\n{project}",
            "conf/pipelines/a.yml": pipeline,
            "pipelines/a.py": CODE,
        },
    )
    return config.load(folder, environ=environ or {})


@pytest.mark.parametrize(
    ("project", "pipeline", "environ", "expected"),
    [
        ("", "", {}, CacheSpec()),
        ("", "run: {cache: true}", {}, CacheSpec(enabled=True)),
        ("", "run: {cache: false}", {}, CacheSpec(enabled=False)),
        ("", "run: {cache: {recompute: [y], disable: false}}", {}, CacheSpec(enabled=True, recompute=("y",))),
        ("", "run: {cache: {recompute: true, disable: [y]}}", {}, CacheSpec(enabled=True, recompute=True, disable=("y",))),
        ("", "run: {cache: {disable: true}}", {}, CacheSpec(enabled=False)),
        ("", "run: {cache: {only: [], ttl: 10m, max_bytes: 2GiB}}", {}, CacheSpec(enabled=True, only=(), ttl=600.0, max_bytes=2 * 1024**3)),
        ("run: {cache: true}", "run: {cache: false}", {}, CacheSpec(enabled=False)),
        ("run: {cache: false}", "run: {cache: {only: [y]}}", {}, CacheSpec(enabled=True, only=("y",))),
        ("run: {cache: {url: 'memory://x', only: []}}", "", {}, CacheSpec(enabled=True, only=(), url="memory://x")),
        ("", "run: {cache: true}", {"FP_EVENTS_PIPELINES__A__RUN__CACHE": "false"}, CacheSpec(enabled=False)),
        ("", "", {"FP_EVENTS_RUN__CACHE__RECOMPUTE": '["y"]'}, CacheSpec(enabled=True, recompute=("y",))),
        ("", "run:\n  cache: ${KEEP:-true}", {}, CacheSpec(enabled=True)),
    ],
)  # fmt: skip
def test_a_pipeline_has_what_its_files_say(
    tmp_path: Path, project: str, pipeline: str, environ: dict[str, str], expected: CacheSpec
) -> None:
    """FlowerPower's forms, the project's defaults below, variables above."""
    assert expected == loaded(tmp_path, f"{project}\n", f"{pipeline}\n", environ).pipelines["a"].cache


def test_a_url_shows_no_secret(tmp_path: Path) -> None:
    """Neither in what is shown, nor in the pipeline's representation."""
    found = loaded(tmp_path, "", "run: {cache: {url: 'sftp://me:secret@host/cache'}}\n")

    shown = found.show()["pipelines"]["a"]["run"]["cache"]["url"]
    assert "sftp://***@host/cache" == shown
    assert "secret" not in repr(found.pipelines["a"])
    assert "sftp://me:secret@host/cache" == found.pipelines["a"].cache.url


@pytest.mark.parametrize(
    ("cache", "request_"),
    [("false", {"enabled": False}), ("{recompute: [y], ttl: 5m}", {"enabled": True, "recompute": ["y"], "ttl": 300.0})],
)
def test_a_schedule_says_differently(tmp_path: Path, cache: str, request_: dict[str, Any]) -> None:
    """For its own runs."""
    found = loaded(tmp_path, "", f"run: {{cache: true}}\nschedule: {{interval: 1h, cache: {cache}}}\n")

    (schedule,) = found.pipelines["a"].schedules
    assert {"cache": request_} == schedule.request
    assert [] == app.check(found)


def test_a_schedule_that_names_no_node_is_found(tmp_path: Path) -> None:
    """With the schedule's line."""
    found = loaded(tmp_path, "", "schedule:\n  interval: 1h\n  cache: {only: [yy]}\n")

    (problem,) = app.check(found)
    assert (
        "conf/pipelines/a.yml:1: schedule 'a': `cache.only` names 'yy', but module 'pipelines.a' has no such function; "
        "did you mean 'y'?"
    ) == str(problem)


def test_a_relative_folder_is_the_projects(tmp_path: Path) -> None:
    """Wherever the program was started."""
    found = loaded(tmp_path, "", "run: {cache: {url: kept/here}}\n")
    app.run_pipeline(found, app.Call(pipeline="a"))

    assert 1 == len(list((tmp_path / "kept" / "here" / "a" / "y").glob("*.fpc")))


def test_a_call_from_python_says_differently(tmp_path: Path) -> None:
    """As `--cache` does."""
    found = loaded(tmp_path, "", "run: {cache: true}\n")
    before = CACHES.counts().get("a", {})
    for cache in (None, None, False, {"recompute": True}):
        assert {"y": 1} == app.run_pipeline(found, app.Call(pipeline="a", cache=cache)).values

    after = CACHES.counts()["a"]
    assert {"hits": 1, "missed": 1, "stored": 2} == {name: after[name] - before.get(name, 0) for name in after}
    with pytest.raises(UsageError, match="cache has no key 'recomputed'"):
        app.run_pipeline(found, app.Call(pipeline="a", cache={"recomputed": ["y"]}))
