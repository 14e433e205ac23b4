"""The helper process: loads the plans once and forks workers that share them.

The daemon itself is never forked: a child made while one of its threads holds a lock may wait for that lock
for ever, and a child that inherits a SQLite connection can damage the file. This process has one thread.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import cast

from fp_events.domain.ports import HandlerLoader

from ._forked import die_with, reseed
from ._page import Page
from ._results import failure_of
from ._wire import LENGTH, decode, encode
from ._worker_process import WorkerProcess

#: A request to fork: the worker's number, with its socket and its page as descriptors beside it.
REQUEST = struct.Struct("!Q")


def main(fd: int) -> None:
    """Serve the daemon that started this process, over the socket `fd`, until it closes it."""
    # What plans print belongs with the daemon's log.
    os.dup2(2, 1)
    faulthandler.enable()
    parent = os.getppid()
    die_with(parent)
    control = socket.socket(fileno=fd)
    helper = _Helper(control)
    try:
        helper.bootstrap()
    except BaseException as error:  # noqa: BLE001 - whatever the import of a pipeline raises
        control.sendall(encode(("failed", failure_of(error))))
        return
    # It may close its end while we tell it something.
    with suppress(BrokenPipeError, ConnectionResetError):
        helper.serve()
    helper.kill_all()


class _Helper:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._load: HandlerLoader | None = None
        self._limits: dict[str, int] = {}
        #: Process id -> worker's number.
        self._children: dict[int, int] = {}

    def bootstrap(self) -> None:
        head = self._control.recv(LENGTH.size, socket.MSG_WAITALL)
        body = self._control.recv(LENGTH.unpack(head)[0], socket.MSG_WAITALL)
        bootstrap, argument, self._limits = decode(body)
        module, _, function = bootstrap.partition(":")
        self._load = cast("HandlerLoader", getattr(import_module(module), function)(argument))
        gc.collect()
        # Untouched by later collections, so that the memory stays shared with the workers.
        gc.freeze()

    def serve(self) -> None:
        # A service manager sends SIGTERM to the whole group while the daemon still drains. Ignoring it outright
        # would be inherited by programs that plans start; a handler is not.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, _pass_over)
        wakeup, signalled = socket.socketpair()
        wakeup.setblocking(False)
        signalled.setblocking(False)
        signal.set_wakeup_fd(signalled.fileno(), warn_on_full_buffer=False)
        try:
            self._control.sendall(encode(("ready",)))
            while True:
                ready, _, _ = select.select([self._control, wakeup], [], [])
                if wakeup in ready:
                    wakeup.recv(4096)
                    self._reap()
                if self._control in ready and not self._answer():
                    break
        finally:
            # Workers end until the very end, and the descriptor goes with its socket.
            signal.set_wakeup_fd(-1)

    def kill_all(self) -> None:
        for pid in self._children:
            _kill_group(pid)

    def _answer(self) -> bool:
        """Fork one worker; False at the end of the stream."""
        request, fds, _, _ = socket.recv_fds(self._control, REQUEST.size, 2)
        if not request:
            return False
        (number,) = REQUEST.unpack(request)
        for fd in fds:
            # Else a program that a plan starts would hold the worker's socket open after its death.
            os.set_inheritable(fd, False)
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._become_worker(parent, *fds)
        for fd in fds:
            os.close(fd)
        self._children[pid] = number
        # In the child too: whichever comes first, the group is there before anyone is told of it.
        with suppress(OSError):
            os.setpgid(pid, pid)
        self._control.sendall(encode(("forked", number, pid)))
        return True

    def _reap(self) -> None:
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            number = self._children.pop(pid, None)
            if number is not None:
                _kill_group(pid)
                self._control.sendall(encode(("exited", number, os.waitstatus_to_exitcode(status))))

    def _become_worker(self, parent: int, sock: int, page: int) -> None:
        """In the child: serve, then end without the helper's own clean-up."""
        code = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            # A group of its own: what a plan starts is killed with it.
            os.setpgid(0, 0)
            die_with(parent)
            self._control.close()
            reseed()
            assert self._load is not None
            WorkerProcess(socket.socket(fileno=sock), Page(page), self._load, **self._limits).serve()
            code = 0
        except (BrokenPipeError, ConnectionResetError):
            code = 0
        except BaseException:  # noqa: BLE001 - nothing may return into the helper's loop
            sys.excepthook(*sys.exc_info())
        finally:
            with suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)


def _pass_over(_signal: int, _frame: FrameType | None) -> None:
    """Do nothing, but interrupt `select`."""


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
