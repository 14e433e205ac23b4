"""The embedded broker: found or started, watched, started again, stopped."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

import anyio
import structlog
from anyio.to_thread import run_sync

from fp_events.domain.errors import BrokerUnavailable, ConfigError, StorageError

from .address import BrokerAddress, BrokerRecord, read_address, read_record, write_record
from .in_process import amqtt_installed, start_amqtt
from .mosquitto import end, find_mosquitto, launch, survivor
from .probe import free_port
from .processes import command_line

if TYPE_CHECKING:
    from amqtt.broker import Broker

_USUAL_PORT = 1883
#: Seconds that another owner's broker may take to answer.
_OTHERS_LIMIT = 20.0
#: Seconds between two looks at whether it lives.
_WATCH = 0.5
#: Seconds before it is started again: the first time, and at the most.
_FIRST_PAUSE, _LAST_PAUSE = 0.1, 10.0
#: Starts, where each time somebody else takes the port that was free.
_PORTS_TRIED = 3

_log = structlog.get_logger("fp_events.brokers")


class EmbeddedBroker:
    """A private broker on loopback for the project whose `.fp-events` is `folder`.

    `start`, then `run` beside everything else, then `stop`. One process owns it; a second one that asks is
    given the address, and neither watches nor stops it. Mosquitto survives its owner's death, with all it
    holds, and the next owner adopts it.
    """

    def __init__(self, folder: Path, *, port: int | None = None) -> None:
        self._folder = folder.absolute()
        self._wanted = port
        #: What this process owns; None: nothing, or another process does.
        self._record: BrokerRecord | None = None
        self._amqtt: Broker | None = None
        self._lock: IO[str] | None = None
        self._stopped = anyio.Event()
        #: A broker that is just being started again must be known before it can be stopped.
        self._changing = anyio.Lock()

    async def start(self) -> BrokerAddress:
        """Adopt or start; the broker answers when this returns.

        Raises BrokerUnavailable where none can be had, ConfigError where the wanted port is taken,
        StorageError where the folder cannot be written.
        """
        self._stopped = anyio.Event()
        try:
            return await self._own() if await run_sync(self._take_lock) else await self._borrow()
        except OSError as error:
            self._free_lock()
            raise StorageError(
                f"the embedded broker cannot use its folder: {error.strerror or error}",
                where=str(self._folder),
                mend="make it writable for this user",
            ) from error
        except BaseException:
            self._free_lock()
            raise

    async def run(self) -> None:
        """Start the broker again, on the same port, whenever it ends; return after `stop`."""
        pause, started = _FIRST_PAUSE, time.monotonic()
        while not await self._stops_within(_WATCH):
            if self._record is None or await run_sync(self._record.alive):
                continue
            _log.warning("embedded_broker_lost", port=self._record.port)
            if time.monotonic() - started > _LAST_PAUSE:
                pause = _FIRST_PAUSE
            if await self._stops_within(pause):
                return
            pause, started = min(pause * 2, _LAST_PAUSE), time.monotonic()
            async with self._changing:
                await self._restart()

    async def stop(self, *, keep: bool = False) -> None:
        """End the broker and wait for it; with `keep`, leave it running for whoever asks next.

        A broker inside this process always ends; one that another process owns is left alone.
        """
        self._stopped.set()
        async with self._changing:
            if self._amqtt is not None:
                await self._amqtt.shutdown()
                keep = False
            if self._record is not None and not keep:
                if self._amqtt is None:
                    await run_sync(end, self._record)
                await run_sync(write_record, self._folder, replace(self._record, pid=None))
            self._amqtt = self._record = None
            self._free_lock()

    async def _own(self) -> BrokerAddress:
        self._record = await run_sync(survivor, self._folder, self._wanted)
        if self._record is not None:
            return self._record.address(adopted=True)
        program = await run_sync(find_mosquitto)
        if program is not None:
            self._record = await self._launch(program)
        elif amqtt_installed():
            self._record = await self._launch_amqtt()
        else:
            raise BrokerUnavailable(
                "there is no Mosquitto on PATH to start as the embedded broker",
                where="mqtt.url: embedded",
                mend="install it (`apt install mosquitto`, `brew install mosquitto`), or for development only "
                "`pip install 'fp-events[amqtt]'`, or set mqtt.url to a broker that runs",
            )
        return self._record.address(adopted=False)

    async def _launch(self, program: str) -> BrokerRecord:
        for _ in range(_PORTS_TRIED - 1):
            port = await run_sync(self._choose_port)
            try:
                return await launch(program, self._folder, port)
            except BrokerUnavailable:
                if await run_sync(free_port, port) is not None:
                    raise
        return await launch(program, self._folder, await run_sync(self._choose_port))

    async def _launch_amqtt(self) -> BrokerRecord:
        port = await run_sync(self._choose_port)
        self._amqtt = await start_amqtt(port)
        pid = os.getpid()
        record = BrokerRecord(port=port, kind="amqtt", pid=pid, mark=await run_sync(command_line, pid))
        await run_sync(write_record, self._folder, record)
        return record

    async def _restart(self) -> None:
        if self._record is None:
            return
        port = self._record.port
        program = await run_sync(find_mosquitto)
        try:
            if program is None:
                raise BrokerUnavailable("Mosquitto is no longer installed", mend="install it again")
            self._record = await launch(program, self._folder, port)
        except (BrokerUnavailable, OSError) as error:
            _log.error("embedded_broker_restart_failed", port=port, error=str(error))
        else:
            _log.info("embedded_broker_restarted", port=port)

    async def _borrow(self) -> BrokerAddress:
        """Another process owns the broker, and may be starting it just now."""
        with anyio.move_on_after(_OTHERS_LIMIT):
            while True:
                if (address := await run_sync(read_address, self._folder)) is not None:
                    return address
                await anyio.sleep(0.05)
        raise BrokerUnavailable(
            "another process owns the embedded broker, and it does not answer",
            where=str(self._folder),
            mend="see mosquitto.log there",
        )

    async def _stops_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await self._stopped.wait()
        return self._stopped.is_set()

    def _choose_port(self) -> int:
        """The wanted one; else that of last time, the usual one, or any, whichever is free first."""
        record = read_record(self._folder)
        if self._wanted is not None:
            choices: tuple[int | None, ...] = (self._wanted,)
        else:
            choices = (record.port if record else _USUAL_PORT, _USUAL_PORT, None)
        for port in choices:
            if (free := free_port(port)) is not None:
                return free
        raise ConfigError(
            f"port {self._wanted} is taken by another program",
            where="mqtt.url: embedded",
            mend="name a free port, or none",
        )

    def _take_lock(self) -> bool:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (self._folder / "broker.lock").open("w")
        with suppress(BlockingIOError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        self._free_lock()
        return False

    def _free_lock(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
