"""A project whose runs have adapters, and its runs in this process."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fp_events import config as configuration
from fp_events.adapters.sender import flush_all
from fp_events.app.building import catalogue, handler_loader
from fp_events.app.calling import Calls
from fp_events.app.single import Call, RunReport
from fp_events.domain.message import Message, Properties
from fp_events.domain.ports import Handler
from fp_events.domain.run import Attempt, PlanRef

CODE = """
def doubled(n: int) -> int:
    return 2 * n


def report(doubled: int, name: str = "a") -> dict:
    if doubled == 6:
        raise ValueError("six is refused")
    return {"loss": doubled / 10, "name": name}


def text(report: dict) -> str:
    return f"loss {report['loss']}"
"""


class Plant:
    """A project's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project()
        self.pipeline()

    def project(self, **settings: Any) -> None:
        """Write `conf/project.yml`."""
        self._write("conf/project.yml", json.dumps({"name": "plant", **settings}))

    def pipeline(self, name: str = "work", code: str = CODE, **settings: Any) -> None:
        """Write a pipeline."""
        self._write(f"conf/pipelines/{name}.yml", json.dumps(settings))
        self._write(f"pipelines/{name}.py", code)

    def config(self) -> configuration.Config:
        """Its configuration, without this machine's environment."""
        return configuration.load(self.folder, environ={})

    async def runs(self, *calls: Call) -> list[RunReport]:
        """These runs at the same time, in this process or one of its workers."""
        owner = Calls(self.config(), logs=False)
        try:
            return list(await asyncio.gather(*(owner.run(call) for call in calls)))
        finally:
            await owner.close()

    async def run(self, n: int, pipeline: str = "work", **settings: Any) -> RunReport:
        """One run."""
        return (await self.runs(Call(pipeline=pipeline, inputs={"n": n}, **settings)))[0]

    def handler(self, pipeline: str = "work") -> Handler:
        """What a daemon's threads run attempts with."""
        config = self.config()
        return handler_loader(config, catalogue(config))(PlanRef(pipeline))

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def attempt(payload: Any, run_id: str = "r", **properties: str) -> Attempt:
    """An attempt that a message on `in/x` caused."""
    message = Message(
        topic="in/x",
        payload=json.dumps(payload).encode(),
        received_at=datetime.now(UTC),
        properties=Properties(user=tuple(properties.items())),
    )
    return Attempt(run_id=run_id, number=1, plan=PlanRef("work"), trigger=0, message=message)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    """An empty project, where no library reports to its makers."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    return Plant(tmp_path / "plant")


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Iterator[Any]:
    """What adapters have logged, once they have told their servers everything: (event, facts)."""

    def read() -> list[tuple[str, dict[str, Any]]]:
        flush_all()
        return [(r.getMessage(), vars(r)) for r in caplog.records if r.name == "fp_events.adapters"]

    with caplog.at_level(logging.INFO, logger="fp_events.adapters"):
        yield read
