"""Kept values of nodes on S3."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from fp_events.cache import CACHES, Caches, survey
from fp_events.domain.caching import MISSING
from tests.cache.test_store import Codec, get, put
from tests.endtoend.harness import write_project

MIB = 1024**2
CODE = """
def length(line: str) -> tuple:
    return (line, len(line))
"""


def test_values_are_kept_on_s3(s3: Any, tmp_path: Path) -> None:
    """Another process takes them, `cache stats` and `cache clear` see them."""
    folder = write_project(
        tmp_path,
        {
            "conf/project.yml": "name: plant\nrun: {cache: {url: 's3://plants/cache'}}\n",
            "pipelines/line.py": CODE,
        },
    )
    project = config.load(folder)
    for _ in range(2):
        report = app.run_pipeline(project, app.Call(pipeline="line", inputs={"line": "north"}))
        assert {"length": ["north", 5]} == report.values
    assert {"hits": 1, "missed": 1, "stored": 1} == CACHES.counts()["line"]
    (kept,) = app.kept(project)
    assert ("line", "length", 1, "s3://plants/cache") == (kept["pipeline"], kept["node"], kept["values"], kept["store"])
    assert 0 < kept["bytes"] < 1000
    assert 1 == len(s3.find("plants/cache/line/length"))
    assert 1 == app.forget(project, "line")["values"]
    assert [] == app.kept(project)


def test_a_store_on_s3_stays_below_its_bound(s3: Any) -> None:
    """A tenth of it is made free at a time; S3 tells the age of values in seconds only."""
    store = Caches().store("p", "s3://plants/bound", MIB, Codec())
    value = os.urandom(100_000)
    keys = [put(store, value, arguments=number) for number in range(14)]

    assert sum(kept.bytes for kept in survey("s3://plants/bound")) <= MIB
    assert 5 <= len([key for key in keys if get(store, key) == value]) <= 10


def test_a_bucket_that_is_not_there_fails_nothing(s3: Any, caplog: pytest.LogCaptureFixture) -> None:
    """It is told once, and the store is left alone for a while."""
    store = Caches().store("p", "s3://no-such-bucket/cache", MIB, Codec())
    for number in range(5):
        assert get(store, put(store, "value", arguments=number)) is MISSING
    assert ["p: the cache at s3://no-such-bucket/cache cannot be written"] == [
        each.getMessage().partition(" (")[0] for each in caplog.records if each.name == "fp_events.cache"
    ]
