"""The examples in examples/flowkit: scripts, and a project whose tasks a topic triggers."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.brokers import mosquitto
from tests.endtoend.harness import Listener, send, serving

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flowkit"


@pytest.mark.parametrize(
    ("script", "printed"),
    [
        ("basic_example.py", "{'extract': [1, 2, 3], 'transform': [10, 20, 30], 'load': None} [10, 20, 30]"),
        ("conditional_example.py", "{'check': 1500, 'large_handler': 'Large: 1500'}"),
        ("parallel_example.py", "{'fetch': 7, 'process_a': 'a', 'process_b': 'b', 'aggregate': [7, 'a', 'b']}"),
        (
            "pipelines/orders.py",
            (
                "{'amount': 810.0, 'auto_approval': {'approved': True, 'why': '810.00 is at most 1000'}, "
                "'decision': {'order': 1, 'approved': True, 'why': '810.00 is at most 1000'}}"
            ),
        ),
    ],
)
def test_a_script_prints_its_results(script: str, printed: str) -> None:
    """Run as its user would."""
    command = [sys.executable, str(EXAMPLES / script)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert (printed, "") == (done.stdout.strip(), done.stderr)


def test_all_examples_are_tested() -> None:
    """Each script of the folder is in the table above."""
    tested = set(re.findall(r'"(\w+_example\.py)"', Path(__file__).read_text()))
    assert tested == {path.name for path in EXAMPLES.glob("*_example.py")}


async def test_a_topic_triggers_tasks(tmp_path: Path) -> None:
    """One order is approved, the other one waits for a person; a wrong currency becomes a dead letter after retries."""
    project = tmp_path / "flowkit"
    shutil.copytree(EXAMPLES, project, ignore=shutil.ignore_patterns(".fp-events", "__pycache__"))
    async with mosquitto() as broker:
        (project / "conf/project.yml").write_text(f'name: flowkit\nmqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}\n')
        async with Listener(broker.port, "shop/+/decisions") as listener, serving(project) as daemon:
            for number, price, currency in ((1, 20, "EUR"), (2, 2000, "USD"), (3, 1, "???")):
                await send(broker.port, "shop/a/orders", {"id": number, "price": price, "currency": currency})
            decisions = [message.json for message in await listener.next("shop/a/decisions", 2)]
            runs = await daemon.runs("orders", 3)
            assert 0 == await daemon.stop()

    assert [
        {"order": 1, "approved": True, "why": "20.00 is at most 1000"},
        {"order": 2, "approved": False, "why": "1800.00 is above 1000"},
    ] == sorted(decisions, key=lambda decision: decision["order"])
    assert ["succeeded", "succeeded", "failed"] == [run["outcome"] for run in runs]
    (attempt,) = runs[2]["attempts"]
    assert [("amount", "failed", 3)] == [(each["node"], each["status"], each["attempts"]) for each in attempt["nodes"]]
    approved = {each["node"]: each["status"] for each in runs[0]["nodes"]}
    assert ("succeeded", "skipped", "succeeded") == tuple(
        approved[name] for name in ("auto_approval", "manual_approval", "decision")
    )
