"""What a worker process does: run chunks of attempts, one at a time, and send each outcome at once."""

from __future__ import annotations

import os
import resource
import socket
from time import monotonic

from fp_events.domain.closing import close_process
from fp_events.domain.ports import HandlerLoader
from fp_events.domain.run import Attempt, AttemptResult

from ._page import Page
from ._results import raised
from ._runner import Runner
from ._wire import LENGTH, OUTCOME, decode, decode_frame, encode


class WorkerProcess:
    """Runs what comes over `sock` until the daemon closes it, or until this worker is to be replaced.

    A chunk is a list of (job, encoded attempt), an outcome is `OUTCOME` and the encoded result.
    """

    def __init__(self, sock: socket.socket, page: Page, load: HandlerLoader, *, max_bytes: int, max_runs: int) -> None:
        self._sock = sock
        self._page = page
        self._load = load
        self._runner = Runner()
        self._runs_left = max_runs
        self._memory_limit = _resident() + max_bytes

    def serve(self) -> None:
        """Return when there is no more to do, and what handlers have opened is closed."""
        try:
            self._serve()
        finally:
            self._runner.close()
            close_process()

    def _serve(self) -> None:
        retiring = False
        while not retiring and (head := self._receive(LENGTH.size)):
            chunk: list[tuple[int, bytes]] = decode(self._receive(LENGTH.unpack(head)[0]))
            self._runs_left -= len(chunk)
            last = chunk[-1][0]
            for job, body in chunk:
                attempt: Attempt = decode_frame(body)
                result, seconds = self._run(job, attempt)
                # Told with the chunk's last outcome, so that no chunk is sent to a worker that leaves.
                retiring = job == last and self._has_grown()
                self._send(attempt, result, seconds, retiring)
                self._page.clear()

    def _run(self, job: int, attempt: Attempt) -> tuple[AttemptResult, float]:
        began = monotonic()
        self._page.load(job)
        try:
            handler = self._load(attempt.plan)
            began = monotonic()
            self._page.run()
            result = self._runner.run(handler, attempt)
        except BaseException as error:  # noqa: BLE001 - a plan's SystemExit must not end the worker
            result = raised(attempt, error, elapsed=monotonic() - began)
        return result, monotonic() - began

    def _send(self, attempt: Attempt, result: AttemptResult, seconds: float, retiring: bool) -> None:
        header = OUTCOME.pack(seconds, retiring)
        try:
            frame = encode(result, header)
        except Exception as error:  # noqa: BLE001 - whatever the result's own pickling raises
            frame = encode(raised(attempt, error, elapsed=seconds), header)
        self._sock.sendall(frame)

    def _receive(self, size: int) -> bytearray:
        """Exactly `size` bytes; empty at the end of the stream."""
        data = bytearray(size)
        view = memoryview(data)
        while view:
            count = self._sock.recv_into(view)
            if count == 0:
                return bytearray()
            view = view[count:]
        return data

    def _has_grown(self) -> bool:
        return self._runs_left <= 0 or _resident() > self._memory_limit


def _resident() -> int:
    """Bytes of memory in use now; where only the peak is known, the peak."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123 - a Path costs more than the read
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except FileNotFoundError:
        # macOS, which counts it in bytes.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
