"""Kills at random times under the other promises: QoS 2, and acknowledging without the ledger."""

from __future__ import annotations

from collections import Counter

from faults.load import COUNT, Load, Setup, load
from faults.oracle import acknowledged, number_of, read_ledger
from faults.row import Found, Run, row

from .crashes import killed_at_random

#: Without state, which needs the ledger.
STATELESS = {
    "conf/pipelines/count.yml": """\
triggers: [{topic: "load/{device}", map: {i: payload.i}, acknowledge: ACKNOWLEDGE}]
outputs: [{node: result, topic: "done/{device}"}]
""",
    "pipelines/count.py": '''\
"""Tells what came."""


def result(i: int) -> dict:
    """What the sink logs."""
    return {"i": i}
''',
}


@row("qos2", "SIGKILL at random times, messages at QoS 2", "each accepted exactly once; lost 0")
async def exactly_once(run: Run) -> Found:
    """Also those that do not say who they are."""
    kills = run.times(20, 2)
    files = {"conf/pipelines/count.yml": COUNT.replace("map:", "qos: 2, map:")}
    async with load(run.folder, Setup(files=files)) as on:
        await killed_at_random(run, on, kills, rate=200 if run.short else 600, qos=2)
        await on.daemon.start()
        account = await on.settle()
        runs = Counter(len(ids) for ids in read_ledger(on.ledger).runs.values())
    held = account.sound and set(runs) == {1}
    return Found(figure=f"accepted once {runs[1]}, more often {runs.total() - runs[1]}; {account}", held=held, n=kills)


@row("executed", "SIGKILL at random times, `acknowledge: when_executed`", "lost 0; executed again: counted")
async def when_executed(run: Run) -> Found:
    """The broker is the memory."""
    kills = run.times(100, 2)
    lost, again, sent = await _without_ledger(run, kills, "when_executed")
    return Found(figure=f"lost {lost} of {sent}; executed again {again}", held=not lost, n=kills)


@row("received", "SIGKILL at random times, `acknowledge: when_received`", "none executed twice; lost: counted")
async def when_received(run: Run) -> Found:
    """Nobody is the memory."""
    kills = run.times(100, 2)
    lost, again, sent = await _without_ledger(run, kills, "when_received")
    return Found(figure=f"lost {lost} of {sent}; executed again {again}", held=not again, n=kills)


async def _without_ledger(run: Run, kills: int, acknowledge: str) -> tuple[int, int, int]:
    """Lost messages, messages with results of several runs, messages."""
    files = {name: text.replace("ACKNOWLEDGE", acknowledge) for name, text in STATELESS.items()}
    async with load(run.folder, Setup(files=files)) as on:
        await killed_at_random(run, on, kills)
        await on.daemon.start()
        await on.settle()
        sent = acknowledged(on.log)
    runs = _runs_of_results(on)
    return len(sent - set(runs)), sum(len(ids) > 1 for ids in runs.values()), len(sent)


def _runs_of_results(on: Load) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for _, payload, properties in on.sink.messages:
        found.setdefault(number_of(payload), set()).add(properties.get("event_id", ""))
    return found
