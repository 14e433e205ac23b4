"""Text that means harm stays text: in topics, payloads, keys, errors and properties; on terminals, in logs, on disk."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.brokers import Mosquitto, mosquitto
from tests.endtoend.harness import Daemon, Listener, cli, send, serving, write_project

from .hostile import RAW, TEXT, TOPICS

FILES = {
    "conf/pipelines/echo.yml": """\
triggers:
  - {topic: "in/#", key: "{topic}", map: {payload: payload, word: payload.k ?? ""}}
state: {said: before}
outputs: [{node: said, topic: "out/{topic}"}]
""",
    "pipelines/echo.py": '''\
"""Repeats, and complains in the words that it was given."""


def said(payload: dict, word: str, before: object) -> dict:
    """The same; fails where it is told to."""
    if payload.get("fail"):
        raise ValueError(word)
    return payload
''',
    "conf/pipelines/named.yml": """\
triggers:
  - {topic: "named", key: "{payload.k}"}
state: {said: before}
outputs: [{node: said, topic: "out/{payload.k}"}]
""",
    "pipelines/named.py": '''\
"""Publishes where the payload says, under the key that it says."""


def said(payload: dict, before: object) -> str:
    """Its text."""
    return payload["k"]
''',
}


@contextlib.asynccontextmanager
async def plant(folder: Path) -> AsyncIterator[tuple[Mosquitto, Daemon, Path]]:
    """A broker, and a daemon that runs in the folder `plant` of an otherwise empty one."""
    async with mosquitto() as broker:
        config = f'name: plant\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\nlog: {{level: DEBUG}}\n'
        project = write_project(folder / "plant", {"conf/project.yml": config, **FILES})
        async with serving(project) as daemon:
            yield broker, daemon, project


def raw(text: str) -> list[str]:
    """Lines that a terminal would obey; the colours of our own tables, on a terminal, are none of these."""
    return [line[:200] for line in text.split("\n") if RAW.search(line)]


async def on_a_terminal(project: Path, *words: str) -> str:
    """What the program writes where it believes to write to a terminal."""
    import sys

    main, inner = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fp_events.cli", "--project", str(project), *words),
        stdin=asyncio.subprocess.DEVNULL, stdout=inner, stderr=inner, env={**os.environ, "TERM": "xterm", "COLUMNS": "300"},
    )  # fmt: skip
    os.close(inner)
    said = b""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        # The end of a pseudo-terminal is an error (EIO).
        while piece := await loop.run_in_executor(None, os.read, main, 65536):
            said += piece
    os.close(main)
    assert await process.wait() in (0, 1)
    return said.decode(errors="replace").replace("\r\n", "\n")


async def everything_said(project: Path, run_ids: list[str]) -> dict[str, str]:
    """What the command line shows of all this, in every form."""
    verbs = [
        *(("runs", "list", *form) for form in ((), ("--format", "json"), ("--format", "yaml"), ("--format", "ids"))),
        *(("runs", "show", run_id, *form) for run_id in run_ids[:3] for form in ((), ("--json",), ("--format", "yaml"))),
        *(("dlq", "show", run_id) for run_id in run_ids[:1]),
        *(("dlq", "list", *form) for form in ((), ("--json",))),
        *(("state", "list", *form) for form in ((), ("--json",), ("--format", "ids"))),
        ("top", "--once"), ("status",), ("status", "--json"),
    ]  # fmt: skip
    said = {}
    for words in verbs:
        found = await cli(project, *words)
        said[" ".join(words)] = found.out + found.err
        assert "Traceback" not in found.err, found.err
    return said


def files_of(folder: Path) -> list[str]:
    """What is on the disk, by its path from the folder; compiled code left out."""
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if "__pycache__" not in path.parts and ".fp-events" not in path.parts
    )


@pytest.mark.timeout(180)
async def test_topics_are_opaque(tmp_path: Path) -> None:
    """No topic becomes a path, a line, a colour or a format; each gives its run, its result and its dead letter."""
    async with plant(tmp_path) as (broker, daemon, project), Listener(broker.port, "out/#", "fp/plant/dlq/#") as sink:
        files = files_of(tmp_path)
        for topic in TOPICS.values():
            await send(broker.port, topic, {"k": topic[:100]})
            await send(broker.port, topic, {"k": topic[:100], "fail": True})
        runs = await daemon.runs("echo", 2 * len(TOPICS))
        await sink.all_of(2 * len(TOPICS))
        said = await everything_said(project, [run["run_id"] for run in runs if run["outcome"] == "failed"][2:])
        said["tap"] = await tapped(project, broker.port, TOPICS["right to left"], {"k": "x"})
        await daemon.stop()
        log = list(daemon.text)

    assert [run["outcome"] for run in runs] == ["succeeded", "failed"] * len(TOPICS)
    # `out/` and 60,000 characters more.
    assert {each.topic for each in sink.messages if each.topic.startswith("out/")} == {
        f"out/{topic}" for topic in TOPICS.values()
    }
    letters = [each for each in sink.messages if each.topic == "fp/plant/dlq/echo"]
    assert sorted(each.user["topic"] for each in letters) == sorted(TOPICS.values())
    assert {name: lines for name, text in said.items() if (lines := raw(text))} == {}
    assert (files_of(tmp_path), Path("/tmp/owned").exists()) == (files, False)
    assert [line for line in log if "forged" in line or "Traceback" in line] == []


async def tapped(project: Path, port: int, topic: str, body: object, *options: str) -> str:
    """What `tap` prints of one message."""
    async with asyncio.timeout(40):
        tap = asyncio.create_task(cli(project, "tap", "in/#", "-n", "1", *options))
        while not tap.done():
            await send(port, topic, body)
            await asyncio.wait([tap], timeout=0.5)
    return tap.result().out + tap.result().err


@pytest.mark.timeout(180)
async def test_payloads_keys_and_errors_are_opaque(tmp_path: Path) -> None:
    """Escapes, forged lines and markup from a payload: as a key, an error, a state, a value, a property, a payload."""
    async with plant(tmp_path) as (broker, daemon, project), Listener(broker.port, "fp/plant/#", "out/#") as sink:
        await send(broker.port, "in/a", {"k": TEXT, "fail": True})
        await send(broker.port, "in/a", {"k": TEXT, TEXT: [TEXT]})
        await send(broker.port, "in/a", b'{"k": "' + TEXT.encode() + b'"}')
        await send(broker.port, "in/a", b'{"k": "\x00\x1b[31m\xff\xfe"}')
        runs = await daemon.runs("echo", 4)
        daemon_key = await daemon.ask(
            "run", pipeline="echo", key=TEXT, inputs={"payload": {"k": TEXT}, "word": TEXT}, wait=True
        )
        said = await everything_said(project, [run["run_id"] for run in runs])
        for words in (
            ("runs", "list"),
            ("runs", "show", runs[0]["run_id"]),
            ("dlq", "list"),
            ("top", "--once"),
            ("status",),
        ):
            colours = await on_a_terminal(project, *words)
            said[f"terminal: {' '.join(words)}"] = without_own_colours(colours)
        said["tap"] = await tapped(project, broker.port, "in/a", b"\x1b[31m" + TEXT.encode())
        said["tap --json"] = await tapped(project, broker.port, "in/a", b"\x1b[31m" + TEXT.encode(), "--json")
        await sink.next("fp/plant/dlq/echo", 3)
        await daemon.stop()
        text, log = list(daemon.text), [json.dumps(line, ensure_ascii=False) for line in daemon.log]

    assert [run["outcome"] for run in runs] == ["failed", "succeeded", "rejected", "rejected"]
    # A command has no topic, which the output's is made from.
    assert daemon_key["outcome"] == "failed"
    assert {name: lines for name, text in said.items() if (lines := raw(text))} == {}
    # Each line of the log is a JSON object of ours: none was broken in two, none was forged.
    assert (text, [line for line in log if '"event": "forged"' in line]) == ([], [])
    assert any("begin" in line for line in log)


def without_own_colours(text: str) -> str:
    """Rich's own: bold, colours, and their end."""
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text).replace("\x1b[?25l", "").replace("\x1b[?25h", "")


@pytest.mark.timeout(180)
async def test_what_no_topic_may_hold_fails_its_run_and_holds_up_nothing(tmp_path: Path) -> None:
    """Result topics from a payload: a character that the broker hangs up for must not do so again and again."""
    words = {
        "escape": "\x1b[31m", "line break": "a\nb", "NUL": "a\0b", "C1": "\x9b1m", "wildcard": "a/#", "empty": "",
        "long": "x" * 70_000, "upwards": "../../x", "noncharacter": "\ufffe", "fine": "ok",
    }  # fmt: skip
    async with plant(tmp_path) as (broker, daemon, _), Listener(broker.port, "out/#") as sink:
        for word in words.values():
            await send(broker.port, "named", {"k": word})
        await sink.next("out/ok", 1)
        started = time.monotonic()
        await send(broker.port, "named", {"k": "after"})
        await sink.next("out/after", 1)
        took = time.monotonic() - started
        runs = await daemon.runs("named", len(words) + 1)
        status = await daemon.until(lambda found: found["broker"]["connected"])
        letters = await daemon.ask("dlq.list")

    outcomes = dict(zip(words, (run["outcome"] for run in runs), strict=False))
    assert (outcomes["fine"], outcomes["upwards"]) == ("succeeded", "succeeded")
    dead = {row["run_id"] for row in letters["dead_letters"]} | {
        row["event_id"].split(":")[0] for row in letters["refused"]
    }
    out = {each.topic for each in sink.messages}
    assert out == {"out/ok", "out/after", "out/../../x"}
    assert len(dead) == len(words) - 2
    assert (status["broker"]["connections"], took < 10) == (1, True)
