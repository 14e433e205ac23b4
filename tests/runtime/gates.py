"""What the pipelines of these tests do, and how a test steers them; they run on threads of this process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict

#: Seconds.
PATIENCE = 20


class Gate:
    """A run stops at it until the test opens it."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._open = threading.Event()

    def stop(self) -> None:
        self._entered.set()
        self._open.wait(PATIENCE)

    def open(self) -> None:
        self._open.set()

    async def entered(self) -> None:
        """Wait until a run stands at it."""
        assert await asyncio.to_thread(self._entered.wait, PATIENCE)


class Steering:
    """What has been called, and the gates."""

    def __init__(self) -> None:
        #: Numbers of the runs, in the order in which their attempts began.
        self.calls: list[int] = []
        self.attempts: Counter[int] = Counter()
        self.gates: defaultdict[int, Gate] = defaultdict(Gate)
        #: Keys of which two attempts were under way at a time.
        self.overlaps: set[str] = set()
        self._active: Counter[str] = Counter()
        self._lock = threading.Lock()

    def open_all(self) -> None:
        """Whoever stands at a gate may go; who comes later stands at a new one."""
        with self._lock:
            gates = list(self.gates.values())
            self.gates.clear()
        for gate in gates:
            gate.open()

    async def idle(self) -> None:
        """Wait until no thread does anything."""
        async with asyncio.timeout(PATIENCE):
            while any(self._active.values()):
                await asyncio.sleep(0.001)

    def act(self, n: int, do: list[str] | None, key: str = "") -> None:
        """Do what is asked for this attempt of run `n`: the last word of `do` is for all further ones."""
        with self._lock:
            self.calls.append(n)
            self.attempts[n] += 1
            number = self.attempts[n]
            gate = self.gates[n]
            self._active[key] += 1
            if key and self._active[key] > 1:
                self.overlaps.add(key)
        try:
            act = do[min(number, len(do)) - 1] if do else "ok"
            if act.startswith("gate"):
                gate.stop()
            if act.endswith("fail"):
                raise ValueError(f"run {n} fails")
            if act == "slow":
                time.sleep(0.005)
            if act == "hang":
                time.sleep(0.09)
        finally:
            with self._lock:
                self._active[key] -= 1


steering = Steering()


def act(n: int, do: list[str] | None, key: str = "") -> None:
    """For pipelines."""
    steering.act(n, do, key)


def renew() -> Steering:
    """For a new test; whoever stands at a gate may go."""
    global steering  # noqa: PLW0603 - pipelines know this module, not the test
    steering.open_all()
    steering = Steering()
    return steering
