"""Processes under measurement: started in a session of their own, ended whatever happens, weighed by /proc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
#: Seconds for an orderly end.
_PATIENCE = 10.0
ROOT = Path(__file__).resolve().parent.parent


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP unwind as Ctrl-C does, so that every process is ended, without a traceback."""

    def end(*_: object) -> None:
        sys.exit("interrupted; every process is ended")

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    stdout: int = subprocess.DEVNULL,
    stderr: int | None = None,
    log: Path | None = None,
) -> Iterator[subprocess.Popen[str]]:
    """A process with its descendants; ended on leaving. `log` gets what it says on standard error, unless
    that is piped."""
    with (log or Path(os.devnull)).open("a") as errors:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdout=stdout,
            stderr=errors if stderr is None else stderr,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C reaches us alone, and we end the others
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    """SIGTERM, then SIGKILL to its whole group."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def family(pid: int) -> list[int]:
    """A process and its descendants that live."""
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue  # ended meanwhile
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU, user and system, of all threads of a process and of its descendants, ended ones too."""
    total = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total / _TICKS


def memory(pid: int, field: str = "VmHWM") -> float:
    """MiB of RSS of a process and its descendants: VmHWM is the peak, VmRSS what it is now."""
    total = 0
    for member in family(pid):
        try:
            lines = Path(f"/proc/{member}/status").read_text().splitlines()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
    return total / 1024
