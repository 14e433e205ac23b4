"""Runs that fail: when they are tried again, where they end, and how an operator heals them."""

from __future__ import annotations

import base64
import itertools
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.brokers import Mosquitto, mosquitto

from .harness import Listener, cli, send, serving, write_project

#: Seconds by which a loaded machine may be late.
LATE = 1.5

#: Fails until the file named by the payload has as many lines as the payload says.
FLAKY = '''\
"""Fails a number of times."""

import json
import pathlib
import time
import urllib.error


class Hiccup(Exception):
    """Comes and goes."""


class LongHiccup(Hiccup):
    """A kind of hiccup."""


def tries(payload: dict) -> int:
    """How often this was tried, this time included."""
    path = pathlib.Path(payload["file"])
    with path.open("a") as file:
        file.write("try\\n")
    return len(path.read_text().splitlines())


def answer(payload: dict, tries: int) -> dict:
    """After enough tries."""
    if tries >= payload["good"]:
        return {"tries": tries}
    time.sleep(payload.get("sleep", 0))
    kinds = {
        "hiccup": Hiccup("for now"),
        "long": LongHiccup("for longer"),
        "http": urllib.error.HTTPError("http://x", 503, "busy", None, None),
        "url": urllib.error.URLError("unreachable"),
        "value": ValueError("wrong for ever"),
    }
    raise kinds[payload["raises"]]
'''


def project(folder: Path, broker: Mosquitto, pipelines: dict[str, str], code: str = FLAKY, top: str = "") -> Path:
    files = {
        "conf/project.yml": f'name: shop\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n{top}',
    }
    for name, run in pipelines.items():
        files[f"conf/pipelines/{name}.yml"] = f"triggers: [{{topic: in/{name}}}]\noutputs: [answer]\nrun: {run}\n"
        files[f"pipelines/{name}.py"] = code
    return write_project(folder, files)


def pauses(run: dict[str, Any]) -> list[float]:
    """Seconds between the end of an attempt and the start of the next one, by what `runs show` says."""
    starts = [datetime.fromisoformat(attempt["started_at"]) for attempt in run["attempts"]]
    ends = [start.timestamp() + attempt["duration_s"] for start, attempt in zip(starts, run["attempts"], strict=True)]
    if run["outcome"] == "succeeded":
        starts.append(datetime.fromisoformat(run["started_at"]))
    return [after.timestamp() - end for end, after in zip(ends, starts[1:], strict=False)]


async def test_the_third_attempt_succeeds_within_the_configured_jitter(tmp_path: Path) -> None:
    """Two failures, two delays of 0.2 s give or take a quarter, then the result; every attempt is on record."""
    run = "{max_retries: 2, retry_delay: 0.2, jitter_factor: 0.25}"
    async with mosquitto() as broker, Listener(broker.port, "fp/shop/#") as listener:
        folder = project(tmp_path, broker, {"flaky": run}, top="events: {status: all}\n")
        async with serving(folder) as daemon:
            await send(broker.port, "in/flaky", {"file": str(tmp_path / "n"), "good": 3, "raises": "hiccup"})
            (result,) = await listener.next("fp/shop/results/flaky/answer")
            (found,) = await daemon.runs("flaky")
            shown = (await cli(folder, "runs", "show", found["run_id"], "--format", "json")).json
            retrying = await listener.next("fp/shop/events/flaky/retrying", 2)
            await listener.next("fp/shop/events/flaky/succeeded")
            assert await daemon.stop() == 0

    assert result.json == {"tries": 3}
    assert result.user["run_id"] == found["run_id"]
    assert shown == found
    assert (found["outcome"], found["attempt"], found["dead_letter"]) == ("succeeded", 3, False)
    assert [(a["number"], a["ended"], a["node"]) for a in found["attempts"]] == [
        (1, "raised", "answer"),
        (2, "raised", "answer"),
    ]
    assert all(a["error"] == "Hiccup: for now" for a in found["attempts"])
    assert all("raise kinds" in a["traceback"] for a in found["attempts"])
    told = [event.json["delay"] for event in retrying]
    assert all(0.15 <= delay <= 0.25 for delay in told)
    assert told[0] != told[1]
    for pause, delay in zip(pauses(found), told, strict=True):
        assert delay - 0.01 <= pause <= delay + LATE
    assert len(listener.on("fp/shop/events/flaky/started")) == 3
    assert listener.on("fp/shop/dlq/flaky") == []


async def test_only_the_named_exceptions_are_tried_again(tmp_path: Path) -> None:
    """Dotted and bare names match the class and its bases; anything else is FAILED after one attempt."""
    run = "{max_retries: 3, retry_delay: 0.05, retry_exceptions: [%s]}"
    pipelines = {"dotted": run % "urllib.error.URLError", "bare": run % "Hiccup"}
    cases = {
        ("dotted", "url"): 2,
        ("dotted", "http"): 2,
        ("dotted", "hiccup"): 1,
        ("bare", "hiccup"): 2,
        ("bare", "long"): 2,
        ("bare", "value"): 1,
    }
    async with (
        mosquitto() as broker,
        serving(project(tmp_path, broker, pipelines)) as daemon,
    ):
        for pipeline, raises in cases:
            body = {"file": str(tmp_path / f"{pipeline}-{raises}"), "good": 2, "raises": raises}
            await send(broker.port, f"in/{pipeline}", body)
        runs = [run for name in pipelines for run in await daemon.runs(name, 3)]
        assert await daemon.stop() == 0

    outcomes = [(run["outcome"], run["attempt"]) for run in runs]
    assert outcomes == [("succeeded", 2) if tries == 2 else ("failed", 1) for tries in cases.values()]


async def test_timeouts_deadlines_and_growing_delays(tmp_path: Path) -> None:
    """A timeout is retried and ends TIMED_OUT; a deadline ends the run whatever retries are left; delays double to a cap."""
    pipelines = {
        "slow": "{timeout: 0.2, max_retries: 1, retry_delay: 0.1}",
        "late": "{deadline: 0.8, max_retries: 100, retry_delay: 0.25}",
        "stuck": "{deadline: 0.5}",
        "growing": "{max_retries: 4, retry_delay: 0.1, retry_backoff: exponential, max_delay: 0.25}",
    }
    async with mosquitto() as broker, Listener(broker.port, "fp/shop/#") as listener:
        folder = project(tmp_path, broker, pipelines, top="events: {status: all}\n")
        async with serving(folder) as daemon:
            for name in pipelines:
                body = {"file": str(tmp_path / name), "good": 1000, "raises": "hiccup"}
                await send(broker.port, f"in/{name}", {**body, "sleep": 1.0 if name in ("slow", "stuck") else 0})
            found = {name: (await daemon.runs(name))[0] for name in pipelines}
            retrying = await listener.next("fp/shop/events/growing/retrying", 4)
            letters = {name: (await listener.next(f"fp/shop/dlq/{name}"))[0] for name in pipelines}
            assert await daemon.stop() == 0

    slow, late, stuck, growing = found.values()
    assert (slow["outcome"], [a["ended"] for a in slow["attempts"]]) == ("timed_out", ["timed_out", "timed_out"])
    assert all(0.2 <= a["duration_s"] <= 0.2 + LATE for a in slow["attempts"])
    assert late["outcome"] == "timed_out"
    assert 1 <= len(late["attempts"]) <= 4
    assert stuck["outcome"] == "timed_out"
    created, finished = (datetime.fromisoformat(stuck[name]) for name in ("created_at", "finished_at"))
    assert 0.4 <= (finished - created).total_seconds() <= 0.5 + LATE
    assert (growing["outcome"], growing["attempt"]) == ("failed", 5)
    assert [event.json["delay"] for event in retrying] == [0.1, 0.2, 0.25, 0.25]
    for pause, delay in zip(pauses(growing), (0.1, 0.2, 0.25, 0.25), strict=True):
        assert delay - 0.01 <= pause <= delay + LATE
    assert {name: letter.user["outcome"] for name, letter in letters.items()} == {
        "slow": "timed_out",
        "late": "timed_out",
        "stuck": "timed_out",
        "growing": "failed",
    }


PARSER = '''\
"""Reads frames."""


def answer(payload: bytes) -> dict:
    """Length and sum of a frame."""
    %s
    return {"length": len(payload), "sum": sum(payload)}
'''
BROKEN = PARSER % 'raise RuntimeError("no such frame: 1")'
MENDED = PARSER % "pass"

PARSER_YML = """\
triggers:
  - {topic: "in/{device}", format: bytes}
outputs:
  - {node: answer, topic: "out/{device}"}
run: {max_retries: 1, retry_delay: 0.05}
"""


def parser_project(folder: Path, broker: Mosquitto, protocol: str = "5") -> Path:
    project_yml = f'name: shop\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}", protocol: "{protocol}"}}\n'
    return write_project(
        folder,
        {
            "conf/project.yml": project_yml,
            "conf/pipelines/parser.yml": PARSER_YML,
            "pipelines/parser.py": BROKEN,
        },
    )


async def test_dead_letters_are_healed_by_mended_code(tmp_path: Path) -> None:
    """They keep the original bytes and the facts; after a mend a retry keeps the run's id and its history."""
    frames = [b"\x00\xff\x80\n\x1f", b"plain text", "ümläut".encode()]
    async with mosquitto() as broker, Listener(broker.port, "out/#", "fp/shop/dlq/#") as listener:
        folder = parser_project(tmp_path, broker)
        async with serving(folder) as daemon:
            for number, frame in enumerate(frames):
                await send(broker.port, f"in/{number}", frame, properties=[("content-type", "x/frame")])
                await listener.next("fp/shop/dlq/parser", number + 1)
            letters = listener.on("fp/shop/dlq/parser")
            listed = (await cli(folder, "dlq", "list", "--format", "json")).json["dead_letters"][::-1]
            runs = await daemon.runs("parser", 3)
            table = await cli(folder, "dlq", "list")

            assert await daemon.stop() == 0
            (folder / "pipelines/parser.py").write_text(MENDED)
            await daemon.start()
            first, *rest = [row["run_id"] for row in listed]
            retried = await cli(folder, "dlq", "retry", first)
            (result,) = await listener.next("out/0")
            healed = await daemon.run_ended(first)
            left = (await cli(folder, "dlq", "list", "--format", "ids")).out.split()
            everything = await cli(folder, "dlq", "retry", "--all", "--format", "json")
            await listener.next("out/1")
            await listener.next("out/2")
            again = await cli(folder, "dlq", "retry", first)
            none = (await cli(folder, "dlq", "list", "--format", "json")).json
            status = await daemon.ask("status")
            assert await daemon.stop() == 0

    assert [letter.payload for letter in letters] == frames
    for number, (letter, row) in enumerate(zip(letters, listed, strict=True)):
        facts = letter.user
        assert facts["run_id"] == row["run_id"]
        assert facts["outcome"] == row["outcome"] == "failed"
        assert (facts["pipeline"], facts["topic"], facts["trigger"]) == ("parser", f"in/{number}", "in/{device}")
        assert (facts["attempts"], facts["node"]) == ("2", "answer")
        assert facts["error"] == row["error"] == "RuntimeError: no such frame: 1"
        assert facts["error_type"] == "RuntimeError"
        assert datetime.fromisoformat(facts["failed_at"]).tzinfo is not None
        assert letter.properties["content-type"] == "x/frame"
    assert base64.b64decode(runs[0]["message"]["payload_base64"]) == frames[0]
    assert [run["message"]["payload"] for run in runs[1:]] == [frame.decode() for frame in frames[1:]]
    assert "no such frame" in table.out

    assert retried.code == 0
    assert result.json == {"length": 5, "sum": sum(frames[0])}
    assert result.user["run_id"] == first
    assert (healed["outcome"], healed["dead_letter"], healed["attempt"]) == ("succeeded", False, 3)
    assert [(a["number"], a["error"]) for a in healed["attempts"]] == [
        (1, "RuntimeError: no such frame: 1"),
        (2, "RuntimeError: no such frame: 1"),
    ]
    assert healed["version"] != healed["attempts"][0]["version"]
    assert sorted(left) == sorted(rest)
    assert sorted(everything.json["retried"]) == sorted(rest)
    assert (again.code, none["dead_letters"]) == (1, [])
    assert "not a dead letter" in again.err
    (counts,) = status["pipelines"]
    assert (counts["succeeded"], counts["failed"], counts["dead_letters"]) == (3, 0, 0)


async def test_dead_letters_are_retried_while_no_daemon_runs(tmp_path: Path) -> None:
    """`dlq retry` changes the ledger; the next `serve` runs them. On MQTT 3.1.1 a dead letter is an envelope."""
    frames = {"1": b"\x00\x01\xfe", "2": b"two"}
    async with mosquitto() as broker, Listener(broker.port, "out/#", "fp/shop/dlq/#", protocol="3.1.1") as listener:
        folder = parser_project(tmp_path, broker, protocol="3.1.1")
        async with serving(folder) as daemon:
            for device, frame in frames.items():
                await send(broker.port, f"in/{device}", frame, protocol="3.1.1")
            letters = await listener.next("fp/shop/dlq/parser", 2)
            runs = await daemon.runs("parser", 2)
            assert await daemon.stop() == 0

            retried = await cli(folder, "dlq", "retry", "--all")
            queued = (await cli(folder, "runs", "list", "--state", "queued", "--format", "ids")).out.split()
            (folder / "pipelines/parser.py").write_text(MENDED)
            await daemon.start()
            results = [(await listener.next(f"out/{device}"))[0] for device in frames]
            healed = await daemon.runs("parser", 2)
            assert await daemon.stop() == 0

    ids = sorted(run["run_id"] for run in runs)
    for letter in letters:
        envelope = letter.json
        assert base64.b64decode(envelope["payload_base64"]) == frames[envelope["topic"].removeprefix("in/")]
        assert (envelope["pipeline"], envelope["outcome"], envelope["attempts"]) == ("parser", "failed", "2")
    assert (retried.code, sorted(queued)) == (0, ids)
    assert [result.json["length"] for result in results] == [3, 3]
    assert sorted(run["run_id"] for run in healed) == ids
    assert {(run["outcome"], run["attempt"], len(run["attempts"])) for run in healed} == {("succeeded", 3, 2)}


async def test_rejected_messages_are_healed_by_configuration(tmp_path: Path) -> None:
    """A wrong format or a wrong path in the map is REJECTED at once, and right after the YAML is mended."""
    yml = """\
triggers:
  - {{topic: in/{name}, format: {format}, map: {{value: {path}}}}}
outputs:
  - {{node: answer, topic: out/{name}}}
run: {{max_retries: 5, retry_delay: 30}}
"""

    def write(folder: Path, *, form: str, path: str) -> Path:
        code = '"""Doubles."""\n\n\ndef answer(value: int) -> int:\n    """Twice."""\n    return 2 * value\n'
        return write_project(
            folder,
            {
                "conf/project.yml": f'name: shop\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n',
                "conf/pipelines/formatted.yml": yml.format(name="formatted", format=form, path="payload.value"),
                "conf/pipelines/mapped.yml": yml.format(name="mapped", format="json", path=path),
                "pipelines/formatted.py": code,
                "pipelines/mapped.py": code,
            },
        )

    async with mosquitto() as broker, Listener(broker.port, "out/#", "fp/shop/dlq/#") as listener:
        folder = write(tmp_path, form="msgpack", path="payload.valeu")
        async with serving(folder) as daemon:
            for name in ("formatted", "mapped"):
                await send(broker.port, f"in/{name}", {"value": 21})
                await listener.next(f"fp/shop/dlq/{name}")
            rejected = [(await daemon.runs(name))[0] for name in ("formatted", "mapped")]
            assert await daemon.stop() == 0
            write(folder, form="json", path="payload.value")
            await daemon.start()
            retried = await cli(folder, "dlq", "retry", *(run["run_id"] for run in rejected))
            results = [(await listener.next(f"out/{name}"))[0].payload for name in ("formatted", "mapped")]
            healed = [(await daemon.runs(name))[0] for name in ("formatted", "mapped")]
            assert await daemon.stop() == 0

    assert [(run["outcome"], run["attempt"], run["dead_letter"]) for run in rejected] == [("rejected", 1, True)] * 2
    assert "valeu" in rejected[1]["error"]
    assert (retried.code, results) == (0, [b"42", b"42"])
    assert [(run["run_id"], run["outcome"]) for run in healed] == [(run["run_id"], "succeeded") for run in rejected]


async def test_later_runs_of_a_key_wait_for_a_retry_or_pass(tmp_path: Path) -> None:
    """`on_retry: hold` keeps the order within the key; `pass` lets the later message go first."""
    code = FLAKY
    async with mosquitto() as broker, Listener(broker.port, "out/#") as listener:
        files = {"conf/project.yml": f'name: shop\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n'}
        for policy in ("hold", "pass"):
            files[f"pipelines/{policy}_on.py"] = code.replace('{"tries": tries}', 'payload["n"]')
            files[f"conf/pipelines/{policy}_on.yml"] = (
                f'triggers: [{{topic: "in/{policy}", key: "payload.{{payload.key}}"}}]\n'
                f"outputs: [{{node: answer, topic: out/{policy}}}]\n"
                f"run: {{max_retries: 3, retry_delay: 0.3, on_retry: {policy}}}\n"
            )
        async with serving(write_project(tmp_path, files)) as daemon:
            for policy in ("hold", "pass"):
                for n, good in itertools.zip_longest((1, 2, 3), (2, 0, 0)):
                    body = {"file": str(tmp_path / f"{policy}{n}"), "good": good, "raises": "hiccup", "n": n}
                    await send(broker.port, f"in/{policy}", {**body, "key": "a"})
            held, passed = [await listener.next(f"out/{policy}", 3) for policy in ("hold", "pass")]
            assert await daemon.stop() == 0

    assert [message.json for message in held] == [1, 2, 3]
    assert [message.json for message in passed] == [2, 3, 1]
