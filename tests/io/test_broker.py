"""`@save_to.mqtt` and `@load_from.mqtt`."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from fp_events import Project, RunFailed
from tests.brokers import mosquitto
from tests.endtoend.harness import Listener, Sink, publish, send, serving, write_project

FILES = {
    "conf/project.yml": "name: plant\n",
    "conf/pipelines/tank.yml": "triggers: [{topic: 'tank/{site}/mm', map: {mm: payload}}]\n"
    "run: {max_retries: 3, retry_delay: 10ms}\n",
    "pipelines/tank.py": '''
from pathlib import Path

from hamilton.function_modifiers import save_to, source, value

COUNT = Path(__file__).parents[1] / "count"


@save_to.mqtt(topic=value("tank/{site}/level"), qos=value(2), retain=value(True), output_name_="saved")
def level(mm: float) -> dict:
    return {"level": mm / 1000}


def checked(level: dict, saved: dict, mm: float) -> str:
    """Fails after the level was saved, twice."""
    with COUNT.open("a") as counting:
        counting.write("x")
    if len(COUNT.read_text()) < 3:
        raise RuntimeError("not yet")
    return saved["topic"]
''',
    "pipelines/silent.py": """
from hamilton.function_modifiers import save_to, value


@save_to.mqtt(topic=value("alarms"), output_name_="saved")
def alarm() -> str:
    return "never heard"


def broken(saved: dict) -> int:
    raise RuntimeError("after the saver")
""",
    "pipelines/last.py": """
from hamilton.function_modifiers import load_from, source, value


@load_from.mqtt(topic=source("topic"), timeout=value(3.0), inject_="message")
def decoded(message: dict) -> float:
    return message["level"]


@load_from.mqtt(topic=source("topic"), timeout=value(3.0), inject_="raw")
def size(raw: bytes) -> int:
    return len(raw)


@load_from.mqtt(topic=value("nobody/speaks"), timeout=value(0.2), default=value(None), inject_="text")
def otherwise(text: str) -> str:
    return text or "silence"


@load_from.mqtt(topic=value("nobody/speaks"), timeout=value(0.2), inject_="text")
def needed(text: str) -> str:
    return text
""",
}


async def test_what_is_saved_is_published_with_the_result(tmp_path: Path) -> None:
    """By a daemon, through its outbox: once, with the run's ids, though the saver's node ran three times."""
    async with mosquitto() as broker, Listener(broker.port, "tank/+/level") as heard:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
        async with serving(write_project(tmp_path, FILES), environ) as daemon:
            await publish(broker.port, "tank/north/mm", ["2500"])
            [run] = await daemon.runs("tank")
            shown = await daemon.ask("runs.show", run_id=run["run_id"])
            assert 0 == await daemon.stop()
    [message] = heard.messages

    assert ("succeeded", 3) == (run["outcome"], run["attempt"])
    assert ("tank/north/level", {"level": 2.5}) == (message.topic, message.json)
    assert (run["run_id"], f"{run['run_id']}:0", "tank") == (
        message.user["run_id"],
        message.user["event_id"],
        message.user["pipeline"],
    )
    assert "application/json" == message.properties["content-type"]
    assert "tank/north/level" in json.dumps(shown)


async def test_what_a_failed_run_saved_is_not_published(tmp_path: Path) -> None:
    """Neither by a daemon nor without one."""
    async with mosquitto() as broker, Listener(broker.port, "alarms", "done") as heard:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
        async with serving(write_project(tmp_path, FILES), environ) as daemon:
            run = await daemon.ask("run", pipeline="silent", wait=True)
            assert 0 == await daemon.stop()
        with Project.load(tmp_path, mqtt={"url": environ["FP_EVENTS_MQTT__URL"]}) as project:
            with pytest.raises(RunFailed, match="after the saver"):
                await project.run_async("silent")
            await project.run_async("silent", final_vars=["saved"])
            await send(broker.port, "done", "")

    assert "failed" == run["outcome"]
    # The second run of this process asked for the saver alone, and succeeded.
    assert [("alarms", b"never heard")] == [(m.topic, m.payload) for m in heard.messages if m.topic != "done"]


@pytest.mark.parametrize("executor", ["local", "processpool"])
async def test_retained_messages_are_loaded(tmp_path: Path, executor: str) -> None:
    """As JSON, as bytes; a default where nobody spoke; an error that says so without one."""
    async with mosquitto() as broker:
        await send(broker.port, "tank/north/level", '{"level": 2.5}', retain=True)
        with Project.load(write_project(tmp_path, FILES), mqtt={"url": f"mqtt://127.0.0.1:{broker.port}"}) as project:
            found = await project.run_async(
                "last",
                inputs={"topic": "tank/north/level"},
                final_vars=["decoded", "size", "otherwise"],
                executor=executor,
            )
            with pytest.raises(RunFailed, match="there is no retained message on 'nobody/speaks'"):
                await project.run_async("last", final_vars=["needed"], executor=executor)

    assert {"decoded": 2.5, "size": 14, "otherwise": "silence"} == found


async def test_without_a_broker_a_run_that_saves_fails(tmp_path: Path) -> None:
    """It succeeded only if the broker has its messages."""
    with Project.load(write_project(tmp_path, FILES), mqtt={"url": "mqtt://127.0.0.1:1"}) as project:
        with pytest.raises(RunFailed, match=r"mqtt://127.0.0.1:1"):
            await asyncio.to_thread(project.run, "silent", final_vars=["saved"])
        # Nothing else needs one.
        assert {"alarm": "never heard"} == project.run("silent", final_vars=["alarm"])


def test_topics_are_checked_as_outputs_are(tmp_path: Path) -> None:
    """A placeholder that nothing fills, a wildcard, the broker's own topics, an unknown quality of service."""
    text = "from hamilton.function_modifiers import save_to\n\n\n@save_to.mqtt({})\ndef a() -> int:\n    return 1\n"
    told: dict[str, Any] = {
        "topic='{line}/x'": r"\{line\} cannot be filled",
        "topic='a/#'": "wildcard",
        "topic='$SYS/x'": "belong to the broker",
        "topic='fp/plant/control/run'": "a topic of commands takes no values",
        "topic='a', qos=3": "qos is 3; use 0, 1 or 2",
    }
    for arguments, sentence in told.items():
        files = {"conf/project.yml": "name: plant\n", "pipelines/p.py": text.format(arguments)}
        with Project.load(write_project(tmp_path, files)) as project, pytest.raises(RunFailed, match=sentence):
            project.run("p")


def test_under_hamilton_alone_it_says_what_it_needs(tmp_path: Path) -> None:
    """Its own driver runs the rest of the graph."""
    from hamilton import ad_hoc_utils, driver
    from hamilton.function_modifiers import save_to, value

    import fp_events.plans.mqtt_adapters  # noqa: F401 - registers them

    @save_to.mqtt(topic=value("a"), output_name_="saved")  # type: ignore[untyped-decorator]  # Hamilton ships no types
    def alarm() -> str:
        return "x"

    graph = driver.Builder().with_modules(ad_hoc_utils.create_temporary_module(alarm)).build()
    assert {"alarm": "x"} == graph.execute(["alarm"])
    with pytest.raises(Exception, match=r"@save_to\.mqtt needs a run of fp-events around it"):
        graph.execute(["saved"])


async def test_a_saver_is_an_output_by_itself(tmp_path: Path) -> None:
    """It runs beside what `outputs` names, without being asked for."""
    files = {
        **FILES,
        "conf/pipelines/both.yml": "outputs: [{node: total, topic: totals}]\n",
        "pipelines/both.py": "from hamilton.function_modifiers import save_to\n\n\n"
        "def total() -> int:\n    return 3\n\n\n"
        "@save_to.mqtt(topic='halves')\ndef half(total: int) -> float:\n    return total / 2\n",
    }
    async with mosquitto() as broker, Sink(broker.port, "halves", "totals") as sink:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
        async with serving(write_project(tmp_path, files), environ) as daemon:
            run = await daemon.ask("run", pipeline="both", wait=True)
            await sink.until(lambda messages: len(messages) == 2, 20)
            assert 0 == await daemon.stop()

    assert "succeeded" == run["outcome"]
    assert {("totals", b"3"), ("halves", b"1.5")} == {message[:2] for message in sink.messages}


def test_a_saver_that_feeds_its_own_trigger_is_found(tmp_path: Path) -> None:
    """As an output would be, before anything connects."""
    files = {
        **FILES,
        "conf/pipelines/round.yml": "triggers: [{topic: 'round/{n}', map: {n: payload}}]\n",
        "pipelines/round.py": "from hamilton.function_modifiers import save_to\n\n\n"
        "@save_to.mqtt(topic='round/again')\ndef more(n: int) -> int:\n    return n + 1\n",
    }
    with Project.load(write_project(tmp_path, files)) as project:
        [problem] = project.check()
        assert (
            "pipelines/round.py:5",
            "what 'round' publishes from node 'save.more' triggers it again (round/{n})",
        ) == (
            problem.where,
            problem.what,
        )
    files["pipelines/round.py"] = files["pipelines/round.py"].replace("round/again", "round/#")
    with Project.load(write_project(tmp_path, files)) as project:
        [problem] = project.check()
    assert "@save_to.mqtt: " in problem.what
