"""The project in examples/flowkit, whose tasks a topic triggers; its scripts run as its README says."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.brokers import mosquitto
from tests.endtoend.harness import Listener, send, serving

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples" / "flowkit"


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
