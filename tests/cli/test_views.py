"""Live views: a run that is watched, what the daemon does, messages as they pass."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Ended

Fp = Callable[..., Ended]
TRIGGER = ("trigger", "counting", "-i", "value=1", "-i", "source=views")
PROGRAM = [sys.executable, "-m", "fp_events.cli"]


class Terminal:
    """The program on a terminal of its own."""

    def __init__(self, project: Path, *arguments: str) -> None:
        self._screen, inside = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"}
        self.process = subprocess.Popen(
            [*PROGRAM, *arguments], cwd=project, stdin=inside, stdout=inside, stderr=inside, env=environment
        )
        os.close(inside)
        self.text = ""

    def until(self, text: str) -> None:
        """Read on until `text` was printed."""
        limit = time.monotonic() + 20
        while text not in self.text:
            assert time.monotonic() < limit, self.text
            if select.select([self._screen], [], [], 0.1)[0]:
                self.text += os.read(self._screen, 65536).decode(errors="replace")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._screen, text.encode())

    def end(self) -> int:
        """The exit code."""
        code = self.process.wait(20)
        os.close(self._screen)
        return code


def test_a_run_is_watched_until_it_has_ended(fp: Fp, live: Path) -> None:
    """A line for each change; the exit code tells how it ended."""
    fp("pause", "counting")
    run_id = fp(*TRIGGER).out.strip()
    watching = subprocess.Popen([*PROGRAM, "runs", "watch", run_id], cwd=live, stdout=subprocess.PIPE, text=True)
    assert watching.stdout is not None
    assert watching.stdout.readline().endswith("  queued\n")
    fp("resume", "counting")
    assert "  succeeded after " in watching.stdout.readline()
    assert 0 == watching.wait(20)
    watching.stdout.close()


def test_watching_ends_in_time_and_fails_as_the_run_did(fp: Fp) -> None:
    """What is not there is a wrong command."""
    later = fp(*TRIGGER, "--run-in", "1h").out.strip()
    watched = fp("runs", "watch", later, "--timeout", "0.1s")
    assert (1, True) == (watched.code, "waiting until" in watched.out)
    fp("runs", "cancel", later)
    bad = fp("trigger", "counting", "-i", "value=-1", "-i", "source=x", "--wait", "--format", "ids").out.strip()
    watched = fp("runs", "watch", bad)
    assert (1, True) == (watched.code, "failed after" in watched.out and "node count: ValueError" in watched.out)
    assert 64 == fp("runs", "watch", "nope").code


def test_waiting_on_a_terminal_shows_where_the_run_is(fp: Fp, live: Path) -> None:
    """And then its values; the exit code tells how it ended."""
    fp("pause", "counting")
    terminal = Terminal(live, *TRIGGER, "--wait")
    terminal.until("queued")
    fp("resume", "counting")
    terminal.until('"source": "views"')
    assert 0 == terminal.end()


@pytest.mark.parametrize(
    "end",
    [lambda top: top.type("\x1b[Aq"), lambda top: top.type("q"), lambda top: top.process.send_signal(signal.SIGINT)],
)
def test_top_refreshes_until_it_is_ended(fp: Fp, live: Path, end: Callable[[Terminal], None]) -> None:
    """Rates and latencies of each pipeline, and the last failures; q and Ctrl-C end it."""
    terminal = Terminal(live, "top", "--interval", "0.2")
    terminal.until("counting")
    fp("trigger", "counting", "-i", "value=-1", "-i", "source=x", "--wait")
    terminal.until("a reading below zero")
    end(terminal)
    assert 0 == terminal.end()


def test_top_looks_once_without_a_terminal(fp: Fp) -> None:
    """As a table, and as figures."""
    fp(*TRIGGER, "--wait")
    table = fp("top").out
    assert all(word in table for word in ("PIPELINE", "IN/S", "P99", "OLDEST", "counting"))
    (row,) = fp("top", "--once", "--json").json["pipelines"]
    assert ("counting", True, 0) == (row["name"], row["latency_p99_s"] >= row["latency_p50_s"] > 0, row["queued"])


@pytest.mark.parametrize(
    ("options", "heard"),
    [
        (["--event", "failed"], "fp/counting/events/+/failed"),
        (["-p", "counting", "--results", "--dead-letters"], "fp/counting/dlq/counting, out/+"),
        (["-p", "counting"], "fp/counting/events/counting/+, fp/counting/dlq/counting, out/+"),
        ([], "fp/counting/#, out/+"),
    ],
)
def test_tap_listens_by_kind_and_by_pipeline(fp: Fp, live: Path, options: list[str], heard: str) -> None:
    """The topics of the configuration, and those of the daemon's own."""
    command = [*PROGRAM, "tap", "-n", "1", *options]
    with subprocess.Popen(command, cwd=live, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as tapping:
        assert tapping.stderr is not None
        assert f"listening to {heard} on " in tapping.stderr.readline()
        fp("trigger", "counting", "-i", "value=-1", "-i", "source=tapped")
        assert 0 == tapping.wait(20)


def test_tap_refuses_what_it_does_not_know(fp: Fp) -> None:
    """An event, a pipeline, and filters beside options."""
    wrong = (["-e", "fialed"], ["-p", "countign"], ["a/#", "--results"])
    assert [64] * 3 == [fp("tap", *options).code for options in wrong]
