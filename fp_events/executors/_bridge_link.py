"""The daemon's view of the process between it and a cluster."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

import msgpack

from ._channel import Channel
from ._helper_link import describe_exit
from ._remote_task import Source
from ._wire import LENGTH

# As for the helper of a processpool.
_START = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from fp_events.executors._bridge import main; main(int(sys.argv[1]), sys.argv[2])"
)
#: Seconds that the process has to end its cluster.
_FAREWELL = 15.0


class BridgeLink:
    """Starts the process at once; `on_message` gets what it tells, `on_end` how it ended, unless it was closed."""

    def __init__(
        self,
        kind: str,
        settings: Mapping[str, Any],
        source: Source,
        on_message: Callable[[list[Any]], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._on_message = on_message
        self._on_end = on_end
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own program with our own path
                [sys.executable, "-c", _START, str(theirs.fileno()), kind, *sys.path],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._channel = Channel(ours, self._on_frame, self._ended)
        self.send([dict(settings), *source])

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def send(self, message: list[Any]) -> None:
        """Send; to a process that is gone, nothing."""
        body: bytes = msgpack.packb(message)
        self._channel.send(LENGTH.pack(len(body)) + body)

    def kill(self) -> None:
        """End the process at once; `on_end` follows."""
        self._process.kill()

    async def close(self) -> None:
        """Have it end its cluster, and wait for it; no event follows."""
        self._channel.close()
        patience = monotonic() + _FAREWELL
        while self._process.poll() is None and monotonic() < patience:  # noqa: ASYNC110 - `Popen` has no event to await
            await asyncio.sleep(0.01)
        self._process.kill()
        self._process.wait()

    def _on_frame(self, body: memoryview) -> None:
        self._on_message(msgpack.unpackb(body))

    def _ended(self) -> None:
        # It has closed its end, which it does last; a moment later nothing is left of it in any case.
        self._process.kill()
        self._on_end(f"the process that speaks to it {describe_exit(self._process.wait())}")
