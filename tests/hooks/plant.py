"""A project whose pipelines differ in their executor alone; hooks and nodes write what happens into a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.brokers import Mosquitto
from tests.endtoend.harness import write_project

#: Pipeline -> its executor. `loop` awaits.
EXECUTORS = {"threads": "threadpool", "procs": "processpool", "loop": "local"}

DIARY_PY = '''\
"""One line per event, from whatever process."""

import json
import os
import pathlib

FILE = pathlib.Path(__file__).parent.parent / "diary.jsonl"


def write(event, **facts):
    with FILE.open("a") as file:
        file.write(json.dumps({"event": event, "pid": os.getpid(), **facts}) + "\\n")
'''
HOOKS_PY = '''\
"""Called around runs."""

from types import SimpleNamespace

from hooks.diary import write


def unpack(payload, topic, captures, message):
    """The device wraps its reading."""
    write("message", topic=topic, captures=dict(captures), bytes=len(message.payload))
    inner = payload["data"]
    if inner == "poison":
        raise ValueError("no reading in it")
    return {"value": inner["v"], "unit": "C", "unknown": 1}


async def unpack_later(payload):
    """The same, with another configuration."""
    inner = payload["data"]
    return SimpleNamespace(inputs={"value": inner["v"], "unit": "C"}, config={"mode": inner.get("mode", "plain")})


def begin(record):
    """Refuses what is too hot on the first attempt."""
    write("before_run", run=record.run_id, attempt=record.attempt, topic=record.topic, inputs=dict(record.inputs))
    if record.inputs["value"] == 500 and record.attempt == 1:
        raise PermissionError("not yet")


async def begin_later(record):
    """The same as a coroutine."""
    begin(record)


def told(kind):
    """A hook that writes down what it is told."""

    def hook(record):
        write(kind, run=record.run_id, attempt=record.attempt, failure=record.failure and record.failure.message)

    return hook


after, succeeded, failed, retried = (told(kind) for kind in ("after_run", "on_success", "on_failure", "on_retry"))


def broken(record):
    """Raises."""
    raise RuntimeError("nobody listens")
'''
MODULE_PY = '''\
"""A reading becomes a result."""

import os

from hamilton.function_modifiers import config


@config.when_not(mode="double")
{kind} def result(value: float, unit: str) -> dict:
    """As it is."""
    if value == 404:
        raise LookupError("no such reading")
    return {{"value": value, "unit": unit, "pid": os.getpid()}}


@config.when(mode="double")
{kind} def result__double(value: float, unit: str) -> dict:
    """Twice."""
    return {{"value": 2 * value, "unit": unit, "pid": os.getpid()}}
'''
HOOKS_YML = """\
hooks:
  message: hooks.around:{message}
  before_run: hooks.around:{before}
  after_run: [hooks.around:after]
  on_success: hooks.around:succeeded
  on_retry: hooks.around:retried
run:
  on_failure: hooks.around:failed
  max_retries: 1
  retry_delay: 0.01
  executor: {executor}
"""


def plant(folder: Path, broker: Mosquitto) -> Path:
    """The project."""
    files = {
        "conf/project.yml": f'name: plant\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n',
        "hooks/diary.py": DIARY_PY,
        "hooks/around.py": HOOKS_PY,
    }
    for name, executor in EXECUTORS.items():
        later = name == "loop"
        settings = HOOKS_YML.format(
            message="unpack_later" if later else "unpack",
            before="begin_later" if later else "begin",
            executor=executor if executor != "processpool" else "{type: processpool, max_workers: 1}",
        )
        files[f"conf/pipelines/{name}.yml"] = (
            f'triggers: [{{topic: "in/{name}/{{line}}"}}]\noutputs: [{{node: result, topic: out/{name}}}]\n{settings}'
        )
        files[f"pipelines/{name}.py"] = MODULE_PY.format(kind="async" if later else "").replace("\n def", "\ndef")
    return write_project(folder, files)


def diary(folder: Path, event: str = "") -> list[dict[str, Any]]:
    """What has happened, all of it or one kind."""
    file = folder / "diary.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if event in ("", line["event"])]
