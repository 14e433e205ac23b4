"""The daemon of a demonstration: a child process that serves the sample project."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from fp_events.domain.errors import DaemonUnavailable, FpEventsError

if TYPE_CHECKING:
    from fp_events.config import Config

#: Seconds until the daemon must answer, and until it must have drained.
_START, _STOP = 30.0, 20.0


class StartFailed(FpEventsError):
    """The daemon ended before it answered; `exit_code` is its own."""

    def __init__(self, what: str, *, where: str, exit_code: int) -> None:
        super().__init__(what, where=where, mend="the lines above are its last words")
        self.exit_code = exit_code  # type: ignore[misc]  # the child's, not this class's


@contextmanager
def serving(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`fp-events serve` in `folder`, its output in ``.fp-events/demo.log``; drained on leaving."""
    log = folder / ".fp-events" / "demo.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "fp_events.cli", "--project", str(folder), "serve"]
    with log.open("wb") as output:
        # A session of its own: Ctrl-C is for us, who stop it in order.
        child = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=_environment(),
        )
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_STOP)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def sample_config(folder: Path) -> Config:
    """The sample project's settings, as `serving` has them."""
    from fp_events import config

    return config.load(folder, environ=_environment())


def _environment() -> dict[str, str]:
    # Settings of a real project, its broker above all, are not the demonstration's.
    return {name: value for name, value in os.environ.items() if not name.startswith("FP_EVENTS_")}


async def ready(folder: Path, child: subprocess.Popen[bytes]) -> None:
    """Return when the daemon is connected and subscribed."""
    import anyio

    from fp_events import app

    loaded = sample_config(folder)
    with anyio.move_on_after(_START):
        while child.poll() is None:
            try:
                status = await app.call(loaded, "status", {})
            except DaemonUnavailable:
                status = None
            if status is not None and status["broker"]["connected"]:
                return
            await anyio.sleep(0.1)
    log = folder / ".fp-events" / "demo.log"
    if child.returncode is None:
        raise DaemonUnavailable(f"the daemon did not come up within {_START:g} s", where=str(log))
    sys.stderr.write(log.read_text(errors="backslashreplace")[-2000:])
    raise StartFailed("the daemon ended at its start", where=str(log), exit_code=child.returncode or 1)
