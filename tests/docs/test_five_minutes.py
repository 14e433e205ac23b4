"""The README's five minutes, as a newcomer spends them."""

from __future__ import annotations

import re
from pathlib import Path

from fp_events import app, config
from tests.brokers import mosquitto
from tests.endtoend.harness import Daemon, Sink, publish, write_project

from .pages import ROOT, project


async def test_the_readme_gives_what_it_shows(tmp_path: Path) -> None:
    """Its files, its three messages: the alert that is printed there, one dead letter, one key with state."""
    readme = ROOT / "README.md"
    [(topic, alert)] = re.findall(r"^[\d:.]+  (alerts/\w+)  (\{.*\})$", readme.read_text(), re.M)
    sent = re.findall(r"fp-events publish (\S+) '(.*)'", readme.read_text())
    files = {"conf/project.yml": "name: plant\n", **project(readme)}
    async with mosquitto() as broker, Sink(broker.port, "alerts/#") as sink:
        environ = {"FP_EVENTS_MQTT__URL": f"mqtt://127.0.0.1:{broker.port}"}
        daemon = Daemon(write_project(tmp_path, files), environ)
        await daemon.start()
        for name, payload in sent:
            await publish(broker.port, name, [payload])
        runs = await daemon.runs("tank", len(sent))
        await sink.until(lambda messages: len(messages) == 1, 10)
        states = await daemon.ask("state.list")
        assert await daemon.stop() == 0

    assert [(topic, alert.encode())] == [message[:2] for message in sink.messages]
    assert ["succeeded", "succeeded", "rejected"] == [run["outcome"] for run in runs]
    assert [("north", {"fill": 67.5})] == [(state["key"], state["value"]) for state in states["states"]]


def test_the_readme_shows_what_check_says(tmp_path: Path) -> None:
    """Its files with an input taken out of the map: the sentence that is printed there."""
    readme = ROOT / "README.md"
    files = {"conf/project.yml": "name: plant\n", **project(readme)}
    text = files["conf/pipelines/tank.yml"]
    files["conf/pipelines/tank.yml"] = text.replace("level: payload.mm, ", "")
    [shown] = re.findall(r"^error: (.*)$", readme.read_text(), re.M)

    problems = app.check(config.load(write_project(tmp_path, files), environ={}))

    assert text != files["conf/pipelines/tank.yml"]
    assert [shown] == [str(problem) for problem in problems]
