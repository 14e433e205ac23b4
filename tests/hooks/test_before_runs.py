"""Message hooks, `before_run` and node hooks: what they give, and what their errors do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fp_events import app, config
from fp_events.domain.errors import InputInvalid
from tests.endtoend.harness import write_project
from tests.runtime.conftest import House

CODE = """
def result(n: int, text: str = "none", mode: str = "plain") -> dict:
    return {"n": n, "text": text, "mode": mode}
"""
MESSAGE_HOOKS = """
from types import SimpleNamespace

from fp_events.domain.errors import InputInvalid


def wrapped(payload):
    return SimpleNamespace(payload=payload["inner"])


def words(message, **parts):
    return {"text": f"{len(message.payload)} {sorted(parts)}", "unknown": 1}


def nothing():
    return None


def number(payload):
    return payload["n"]


def rejects(payload):
    raise InputInvalid("the device is in maintenance", where="payload.n")


async def later(topic):
    return {"n": 70, "text": topic}
"""


def add(house: House, text: str) -> None:
    (house.folder / "hooks").mkdir(exist_ok=True)
    (house.folder / "hooks" / "gateway.py").write_text(text)


async def results(house: House, *hooks: str, payload: str = "", **settings: Any) -> list[Any]:
    """What the pipeline publishes for one message, with these message hooks."""
    add(house, MESSAGE_HOOKS)
    named = [f"hooks.gateway:{hook}" for hook in hooks]
    trigger = {"topic": "in/work", "map": {"n": "payload.n"}}
    house.pipeline(code=CODE, **{"triggers": [trigger], "hooks": {"message": named}, **settings})
    async with house.serving() as daemon:
        house.broker.publish("in/work", payload or '{"n": 1, "inner": {"n": 2}}')
        await daemon.outcomes(1)
        assert await daemon.stop()
        return [*house.published("out/work"), *(record.failure for record in daemon.ended if record.failure)]


@pytest.mark.parametrize(
    ("hooks", "expected"),
    [
        (["nothing"], {"n": 1, "text": "none"}),
        (["wrapped"], {"n": 2, "text": "none"}),
        (["words"], {"n": 1, "text": "27 ['captures', 'payload', 'topic']"}),
        (["later"], {"n": 70, "text": "in/work"}),
        (["later", "words", "wrapped"], {"n": 70, "text": "27 ['captures', 'payload', 'topic']"}),
    ],
)
async def test_what_message_hooks_give(house: House, hooks: list[str], expected: dict[str, Any]) -> None:
    """Inputs win over the map and over those of earlier hooks, another payload goes through the map."""
    assert [{**expected, "mode": "plain"}] == await results(house, *hooks)


async def test_the_message_itself_tells_who_gave_an_input(house: House) -> None:
    """A command wins over a message hook, which wins over `run.inputs` and `params`."""
    add(house, MESSAGE_HOOKS)
    house.pipeline(
        code=CODE,
        triggers=[{"topic": "in/work", "map": {}}],
        hooks={"message": "hooks.gateway:later"},
        params={"text": "params", "mode": "params"},
        run={"inputs": {"text": "inputs", "n": 5}},
    )
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.until(lambda: house.published("out/work"))
        run = (await daemon.ask("runs.list"))["runs"][0]
        asked = await daemon.ask("run", pipeline="work", inputs={"text": "asked"}, wait=True)

    assert [{"n": 70, "text": "in/work", "mode": "params"}] == house.published("out/work")[:1]
    assert "succeeded" == run["outcome"]
    # No message, no message hook.
    assert {"n": 5, "text": "asked", "mode": "params"} == asked["values"]["result"]


async def test_an_answer_of_the_wrong_kind_fails_the_attempt(house: House) -> None:
    """The failure names the hook and its line."""
    failure = (await results(house, "number"))[-1]
    expected = "message hook hooks.gateway:number (hooks/gateway.py:19): it returned a int, not inputs by name"
    assert "TypeError" == failure.type
    assert failure.message.startswith(expected)


async def test_a_hook_may_reject_its_message(house: House) -> None:
    """The original bytes are in the dead letter."""
    failure = (await results(house, "rejects"))[-1]
    letter = house.publications("fp/house/dlq/work")[-1]
    assert f"{InputInvalid.__module__}.InputInvalid" == failure.type
    assert b'{"n": 1, "inner": {"n": 2}}' == letter.payload
    assert "rejected" == dict(letter.properties.user)["outcome"]


NODES_PY = """
{kind}def doubled(n: int) -> int:
    return 2 * n


{kind}def result(doubled: int, limit: int = 10) -> int:
    if doubled > limit:
        raise ValueError("too much")
    return doubled + 1
"""
NODE_HOOKS = """
import json
import pathlib

FILE = pathlib.Path(__file__).parent.parent / "nodes.jsonl"


def write(*facts):
    with FILE.open("a") as file:
        file.write(json.dumps(facts) + "\\n")


def before(call):
    write("before", call.pipeline, call.attempt, call.node, dict(call.inputs))


def after(call):
    write("after", bool(call.run_id), call.node, call.result, str(call.error or ""))


async def after_later(call):
    after(call)


def stops(call):
    if call.node == "result":
        raise PermissionError("not this one")
"""


def nodes_project(folder: Path, *, kind: str, executor: str, **hooks: str) -> config.Config:
    named = "".join(f"  {name}: hooks.nodes:{function}\n" for name, function in hooks.items())
    files = {
        "conf/project.yml": "name: nodes\n",
        "conf/pipelines/p.yml": f"hooks:\n{named}run: {{executor: {executor}, final_vars: [result]}}\n",
        "pipelines/p.py": NODES_PY.format(kind=kind),
        "hooks/nodes.py": NODE_HOOKS,
    }
    return config.load(write_project(folder, files), environ={})


@pytest.mark.parametrize(
    ("kind", "executor", "after"),
    [
        ("", "threadpool", "after"),
        ("", "processpool", "after"),
        ("", "local", "after"),
        ("async ", "local", "after_later"),
    ],
)
async def test_node_hooks_see_every_node(tmp_path: Path, kind: str, executor: str, after: str) -> None:
    """Its arguments before, its value or error after, under every executor, awaited where they are async."""
    calls = app.Calls(nodes_project(tmp_path, kind=kind, executor=executor, before_node="before", after_node=after))
    try:
        good = await calls.run(app.Call(pipeline="p", inputs={"n": 3}))
        bad = await calls.run(app.Call(pipeline="p", inputs={"n": 30}))
    finally:
        await calls.close()

    assert ({"result": 7}, "result") == (good.values, bad.failure and bad.failure.node)
    lines = (tmp_path / "nodes.jsonl").read_text().splitlines()
    assert [
        '["before", "p", 1, "doubled", {"n": 3}]',
        '["after", true, "doubled", 6, ""]',
        '["before", "p", 1, "result", {"doubled": 6}]',
        '["after", true, "result", 7, ""]',
        '["before", "p", 1, "doubled", {"n": 30}]',
        '["after", true, "doubled", 60, ""]',
        '["before", "p", 1, "result", {"doubled": 60}]',
        '["after", true, "result", null, "too much"]',
    ] == lines


def test_a_node_hook_that_raises_fails_the_attempt(tmp_path: Path) -> None:
    """The failure names the hook, and no node."""
    loaded = nodes_project(tmp_path, kind="", executor="threadpool", before_node="stops")

    report = app.run_pipeline(loaded, app.Call(pipeline="p", inputs={"n": 3}))

    assert report.failure is not None
    told = "before_node hook hooks.nodes:stops (hooks/nodes.py:27): not this one"
    assert ("PermissionError", told, "") == (report.failure.type, report.failure.message, report.failure.node)
