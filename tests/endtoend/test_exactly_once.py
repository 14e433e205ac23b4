"""QoS 2: a message is accepted exactly once, however often the daemon dies.

EXACTLY_ONCE=20000:20 for so many messages and kills.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.brokers import mosquitto

from .harness import Sink, publish, serving, write_project

pytestmark = pytest.mark.timeout(600)

FILES = {
    "conf/project.yml": "name: once\nmqtt: {{url: 'mqtt://127.0.0.1:{port}'}}\nlog: {{format: json}}\n",
    "conf/pipelines/copy.yml": "triggers: [{topic: in/a, qos: 2, map: {i: payload.i}}]\n"
    "outputs: [{node: result, topic: out/a}]\n",
    "pipelines/copy.py": "def result(i: int) -> dict:\n    return {'i': i}\n",
}


async def test_qos_2_is_accepted_exactly_once(tmp_path: Path) -> None:
    """As many runs as messages, each of another message; nothing but QoS 2 tells them apart."""
    count, kills = (int(part) for part in os.environ.get("EXACTLY_ONCE", "2000:3").split(":"))
    seed = random.randrange(10_000)
    print(f"{count} messages, {kills} kills, seed {seed}")  # for whoever runs this by hand with -s
    chance = random.Random(seed)
    async with mosquitto(()) as broker, Sink(broker.port, "out/a") as sink:
        files = {**FILES, "conf/project.yml": FILES["conf/project.yml"].format(port=broker.port)}
        async with serving(write_project(tmp_path, files)) as daemon:
            lines = [json.dumps({"i": i}) for i in range(count)]
            publishing = asyncio.create_task(publish(broker.port, "in/a", lines, qos=2))
            for _ in range(kills):
                seen = chance.randrange(1, max(2, count // kills))
                await daemon.until(partial(_seen, seen, count), every=0.0)
                await daemon.kill()
                await daemon.start()
            await publishing
            status = await daemon.until(partial(_done, count))
            assert count == status["pipelines"][0]["succeeded"]
            await sink.until(lambda messages: len(messages) >= count, 60)
            await daemon.stop()
        assert list(range(count)) == sorted({json.loads(payload)["i"] for _, payload, _ in sink.messages})


def _seen(seen: int, count: int, status: dict[str, Any]) -> bool:
    """A later life of the daemon may have fewer than `seen` left to receive."""
    return status["totals"]["received"] >= seen or _done(count, status)


def _done(count: int, status: dict[str, Any]) -> bool:
    return bool(status["pipelines"][0]["succeeded"] >= count and status["totals"]["pending"] == 0)
