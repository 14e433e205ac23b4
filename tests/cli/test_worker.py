"""`worker rq` in the background."""

from __future__ import annotations

import os
import re
import signal
import time
from pathlib import Path

from tests.executors.rq_parts import RedisServer

from .conftest import call

#: Seconds that workers may take to start and to end.
PATIENCE = 30


def test_workers_detach_with_a_log_of_their_own(tmp_path: Path) -> None:
    """With a number, a name, queues and a level; the process id is printed, and SIGTERM ends them all."""
    redis = RedisServer()
    redis.start()
    log = tmp_path / ".fp-events/worker-hall-a.log"
    try:
        for name, text in {
            "conf/project.yml": f"name: hall\nrun: {{executor: {{type: rq, url: '{redis.url}', queue: presses}}}}\n",
            "pipelines/press.py": "def doubled(n: int) -> int:\n    return 2 * n\n",
        }.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        options = "--num-workers 2 --background --queue-names presses --name hall-a --log-level INFO"

        detached = call(["worker", "rq", *options.split()], tmp_path)

        pid = int(detached.out)
        started = said(log, r"Worker (hall-a-\d)\S*: started", 2)
        os.kill(pid, signal.SIGTERM)
        stopped = said(log, r"Worker (hall-a-\d)\S*: unsubscribing", 2)
    finally:
        redis.kill()
    assert (0, {"hall-a-1", "hall-a-2"}) == (detached.code, started)
    assert started == stopped


def said(log: Path, pattern: str, count: int) -> set[str]:
    """What `pattern` finds in a log, once it finds as many."""
    until = time.monotonic() + PATIENCE
    found: set[str] = set()
    while len(found) < count and time.monotonic() < until:
        found = set(re.findall(pattern, log.read_text())) if log.is_file() else set()
        time.sleep(0.02)
    return found
