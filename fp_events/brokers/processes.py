"""Processes that may outlive us: known by their number and a mark in their command line, child or not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path


def spawn(command: list[str], *, log: Path) -> int:
    """Start a process in a session of its own, which the terminal's Ctrl-C does not reach; its number.

    What it prints is appended to `log`. `subprocess` would insist on waiting for its end; this one may outlive us.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        command,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=(),
        setsigdef=(signal.SIGPIPE,),
    )
    with suppress(ProcessLookupError):
        # For a moment within exec it has no command line yet, and would look ended.
        while not command_line(pid):
            os.kill(pid, 0)
            time.sleep(0.001)
    return pid


def command_line(pid: int) -> str:
    """Program and arguments of a live process, separated by blanks; empty where there is none."""
    with suppress(ChildProcessError):
        # An ended child of ours is there until its status is taken.
        os.waitpid(pid, os.WNOHANG)
    if Path("/proc/self").exists():
        with suppress(OSError):
            return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")).strip()
        return ""
    command = ["/bin/ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - the system's ps, and a number
    return os.fsdecode(shown.stdout).strip()


def is_alive(pid: int | None, mark: str) -> bool:
    """Whether the process lives and is the one that `mark` names; numbers are used again."""
    return pid is not None and mark in command_line(pid)


def terminate(pid: int, mark: str, *, grace: float) -> None:
    """Ask the process to end and wait for it; kill it after `grace` seconds."""
    for sent, patience in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + patience
        if not is_alive(pid, mark):
            return
        with suppress(ProcessLookupError):
            os.kill(pid, sent)
        while is_alive(pid, mark) and time.monotonic() < deadline:
            time.sleep(0.02)
