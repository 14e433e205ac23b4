"""The daemon's view of the helper process."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from typing import Protocol

from fp_events.domain.run import Failure

from ._channel import Channel
from ._helper import REQUEST
from ._wire import decode, encode

# The import path is the daemon's own; `-m` would find the package only from some folders.
_START = "import sys; sys.path[:] = sys.argv[2:]; from fp_events.executors._helper import main; main(int(sys.argv[1]))"


class HelperEvents(Protocol):
    """What the helper tells."""

    def helper_ready(self) -> None:
        """The plans are loaded; it can fork."""

    def helper_failed(self, failure: Failure) -> None:
        """It will not be ready; nothing else follows."""

    def helper_ended(self) -> None:
        """It died after it was ready, and its workers with it; nothing else follows."""

    def worker_forked(self, number: int, pid: int) -> None:
        """A worker exists."""

    def worker_exited(self, number: int, code: int) -> None:
        """A worker has ended: exit code, or minus the signal's number."""


class HelperLink:
    """Starts the helper at once. It is to be started on the loop's thread: on Linux it dies with that thread."""

    def __init__(self, events: HelperEvents, bootstrap: str, argument: bytes, limits: dict[str, int]) -> None:
        self._events = events
        self.ready = False
        self._failed = False
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program with our own path
                [sys.executable, "-c", _START, str(theirs.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._channel = Channel(ours, self._on_frame, self._on_end)
        self._channel.send(encode((bootstrap, argument, limits)))

    def fork(self, number: int, sock: socket.socket, page: int) -> None:
        """Ask for a worker with these descriptors; `worker_forked` follows."""
        self._channel.send_descriptors(REQUEST.pack(number), [sock.fileno(), page])

    @property
    def ended(self) -> bool:
        """The process is gone."""
        return self._process.poll() is not None

    def close(self) -> None:
        """Close the connection: the helper kills its workers and ends. No event follows."""
        self._channel.close()

    def kill(self) -> None:
        """End the process for sure."""
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _on_frame(self, body: memoryview) -> None:
        match decode(body):
            case ("ready",):
                self.ready = True
                self._events.helper_ready()
            case ("failed", failure):
                self._failed = True
                self.kill()
                self._events.helper_failed(failure)
            case ("forked", number, pid):
                self._events.worker_forked(number, pid)
            case ("exited", number, code):
                self._events.worker_exited(number, code)

    def _on_end(self) -> None:
        self._process.kill()
        code = self._process.wait()
        if self.ready:
            self._events.helper_ended()
        else:
            self._events.helper_failed(_died_early(code))


def _died_early(code: int) -> Failure:
    return Failure(
        type="ProcessDied",
        message=f"the process that loads the pipelines {describe_exit(code)} before it was ready; "
        "see standard error, and import the pipelines in a Python shell to find the one that does it",
    )


def describe_exit(code: int | None) -> str:
    """An exit code, or minus a signal's number, in words."""
    if code is None:
        return "died"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"
