"""One opened resource: of a process, or of an event loop; when opening is tried again, and what closing raises."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from fp_events.domain.errors import ResourceUnavailable
from fp_events.domain.hooks import Resource

from .opening import Opened, close_now, close_on_loop, open_now, open_on_loop

#: Seconds until opening is tried again: after the first failure, and at the most.
_PAUSE = 1.0
_LONGEST_PAUSE = 60.0
#: Seconds that closing may take when a worker ends.
PATIENCE = 5.0

log = logging.getLogger("fp_events.resources")


class _Trouble:
    """The last failure to open, and when it is worth another try."""

    def __init__(self) -> None:
        self._error: BaseException | None = None
        self._pause = 0.0
        self._next = 0.0

    def check(self, resource: Resource) -> None:
        """Raise the last failure while it is too early for another try."""
        left = self._next - time.monotonic()
        if self._error is not None and left > 0:
            raise _unavailable(resource, self._error, left)

    def failed(self, resource: Resource, error: BaseException) -> ResourceUnavailable:
        """Remember a failure; the error to raise."""
        self._error = error
        self._pause = min(max(_PAUSE, 2 * self._pause), _LONGEST_PAUSE)
        self._next = time.monotonic() + self._pause
        return _unavailable(resource, error, self._pause)

    def over(self) -> None:
        """It was opened."""
        self._error, self._pause = None, 0.0


def _unavailable(resource: Resource, cause: BaseException, seconds: float) -> ResourceUnavailable:
    place = f"{resource.text} at {resource.where}" if resource.where else resource.text
    error = ResourceUnavailable(
        f"resource '{resource.name}' ({place}) cannot be opened: {type(cause).__name__}: {cause}",
        mend=f"it is tried again after {seconds:.1f} s",
    )
    error.__cause__ = cause
    return error


class OfProcess:
    """A resource that all threads of a process share."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self._lock = threading.Lock()
        self._opened: Opened | None = None
        self._trouble = _Trouble()

    @property
    def is_open(self) -> bool:
        """`get` returns at once."""
        return self._opened is not None

    def get(self) -> Any:
        """The resource, opened by whoever comes first; raises ResourceUnavailable."""
        opened = self._opened
        if opened is None:
            with self._lock:
                opened = self._opened or self._open()
        return opened.value

    def _open(self) -> Opened:
        self._trouble.check(self.resource)
        try:
            self._opened = open_now(self.resource)
        except Exception as error:
            raise self._trouble.failed(self.resource, error) from error
        self._trouble.over()
        return self._opened

    def close(self) -> None:
        """Close it if it is open; what that raises is told."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is None:
            return
        try:
            close_now(opened)
        except Exception as error:  # noqa: BLE001 - users' code raises anything
            _tell(self.resource, error)


class OfLoop:
    """A resource of the event loop that is running when it is made."""

    def __init__(self, resource: Resource) -> None:
        self.resource = resource
        self.loop = asyncio.get_running_loop()
        self._trouble = _Trouble()
        self._task: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Any] | None = None
        self._end = asyncio.Event()

    async def get(self) -> Any:
        """As above; an attempt that is cancelled leaves the opening to those that come after it."""
        if self._ready is None:
            self._trouble.check(self.resource)
            self._end = asyncio.Event()
            self._ready = self.loop.create_future()
            keeping = self._keep(self._ready, self._end)
            self._task = self.loop.create_task(keeping, name=f"resource {self.resource.name}")
        return await asyncio.shield(self._ready)

    async def _keep(self, ready: asyncio.Future[Any], end: asyncio.Event) -> None:
        try:
            opened = await open_on_loop(self.resource)
        except asyncio.CancelledError:
            ready.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - a user's SystemExit must not end the loop
            self._ready = None
            ready.set_exception(self._trouble.failed(self.resource, error))
            # Attempts that wait for it raise it; where none does any more, nobody need be told.
            ready.exception()
            return
        self._trouble.over()
        ready.set_result(opened.value)
        await end.wait()
        try:
            await close_on_loop(opened)
        except Exception as error:  # noqa: BLE001 - users' code raises anything
            _tell(self.resource, error)

    def close(self) -> None:
        """Have it closed soon; from any thread."""
        with suppress(RuntimeError):  # the loop is closed, and with it what belonged to it
            self.loop.call_soon_threadsafe(self._let_go)

    def _let_go(self) -> None:
        self._ready = None
        self._end.set()

    async def closed(self) -> None:
        """Close it now, on its loop."""
        self._let_go()
        task = self._task
        if task is None or task.done():
            return
        _, late = await asyncio.wait([task], timeout=PATIENCE)
        if late:
            _tell(self.resource, TimeoutError(f"not within {PATIENCE:g} s"))
            task.cancel()


async def on_thread(call: Callable[[], Any]) -> Any:
    """What `call` returns, called on a thread that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(value: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(value)
        else:
            done.set_exception(error)

    def run() -> None:
        value, error = None, None
        try:
            value = call()
        except BaseException as raised:  # noqa: BLE001 - raised on the loop
            error = raised if isinstance(raised, Exception) else RuntimeError(f"{type(raised).__name__}: {raised}")
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, value, error)

    threading.Thread(target=run, name="resources", daemon=True).start()
    return await done


def _tell(resource: Resource, error: BaseException) -> None:
    log.warning(
        "resource '%s' (%s) did not close properly: %s: %s", resource.name, resource.text, type(error).__name__, error
    )
