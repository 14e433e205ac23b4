"""Messages through a daemon onto Ray and Dask while a worker is killed: do all runs end, each once?

``python -m tests.executors.prove_clusters [RUNS]``; 500 by default. Prints a table; its exit code is 1 where one is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.brokers import mosquitto
from tests.endtoend.harness import Sink, publish, serving, write_project

from .cluster_parts import family, is_alive

PATIENCE = 600
PRESS_PY = '''\
"""Doubles, in 20 ms."""

import os
import pathlib
import time


def result(payload: int) -> dict:
    """Twice the payload, and the process that says so."""
    if payload == KILLED and not pathlib.Path("BEGAN").exists():
        pathlib.Path("BEGAN").write_text(str(os.getpid()))
        time.sleep(60)
    time.sleep(0.02)
    return {"n": payload, "doubled": 2 * payload, "process": os.getpid()}
'''
PRESS_YML = """\
triggers: [{topic: in, concurrency: 200}]
outputs: [{node: result, topic: out}]
run: {max_retries: 3, retry_delay: 0.1}
"""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What came of one executor."""

    executor: str
    runs: int
    seconds: float
    outcomes: dict[str, int]
    results: int
    wrong: int
    tried_again: int
    lost_workers: int
    left_processes: int

    @property
    def holds(self) -> bool:
        """Everything ended, once, and nothing is left."""
        whole = self.outcomes == {"succeeded": self.runs} and self.results == self.runs
        return whole and not self.wrong and self.tried_again == 1 and not self.left_processes


async def prove(executor: str, runs: int, folder: Path) -> Proof:
    """So many messages; a worker is killed in the middle of the run for one of them."""
    began_file = folder / "began"
    async with mosquitto() as broker:
        project = write_project(
            folder,
            {
                "conf/project.yml": f"""\
name: proof
mqtt: {{url: "mqtt://127.0.0.1:{broker.port}"}}
run: {{executor: {{type: {executor}, max_workers: 4}}}}
""",
                "conf/pipelines/press.yml": PRESS_YML,
                "pipelines/press.py": PRESS_PY.replace("KILLED", str(runs // 4)).replace("BEGAN", str(began_file)),
            },
        )
        async with serving(project) as daemon, Sink(broker.port, "out") as sink:
            began = time.monotonic()
            await publish(broker.port, "in", map(str, range(runs)))
            while not began_file.exists() or not began_file.read_text():
                await asyncio.sleep(0.005)
            os.kill(int(began_file.read_text()), signal.SIGKILL)
            status = await daemon.until(
                lambda found: sum(found["pipelines"][0]["since_start"].values()) >= runs, every=0.05
            )
            seconds = time.monotonic() - began
            await sink.until(lambda messages: len(messages) >= runs, PATIENCE)
            found = [json.loads(payload) for _, payload, _ in sink.messages]
            listed = await daemon.ask("runs.list", limit=1000)
            processes = family(daemon.pid)
            await daemon.stop()
        (state,) = status["executors"].values()
        return Proof(
            executor=executor,
            runs=runs,
            seconds=seconds,
            outcomes={name: count for name, count in status["pipelines"][0]["since_start"].items() if count},
            results=len({each["n"] for each in found}),
            wrong=sum(each["doubled"] != 2 * each["n"] for each in found) + len(found) - runs,
            tried_again=sum(run["attempt"] > 1 for run in listed["runs"]),
            lost_workers=state["restarts"],
            left_processes=sum(map(is_alive, processes)),
        )


async def main(runs: int) -> int:
    """Print what came of each."""
    print("| executor | runs | outcomes | results | workers lost | tried again | processes left | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    proofs = []
    for executor in ("ray", "dask"):
        with tempfile.TemporaryDirectory() as folder:
            p = await prove(executor, runs, Path(folder) / "project")
        outcomes = ", ".join(f"{count} {name}" for name, count in p.outcomes.items())
        cells = (p.executor, p.runs, outcomes, p.results, p.lost_workers, p.tried_again, p.left_processes)
        print(f"| {' | '.join(map(str, cells))} | {p.seconds:.1f} |", flush=True)
        proofs.append(p)
    return 0 if all(p.holds for p in proofs) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)))
