"""A private Mosquitto, configured to keep what it has accepted."""

from __future__ import annotations

import os
import re
import shutil
from hashlib import blake2b
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from fp_events.domain.errors import BrokerUnavailable, ConfigError

from .address import BrokerRecord, read_record, write_record
from .probe import LOOPBACK, answers
from .processes import spawn, terminate

#: Debian installs the broker where only root's PATH looks; Homebrew's folders are missing from a service's PATH.
_ELSEWHERE = "/usr/sbin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin:/opt/homebrew/bin"
#: Bytes of log, above which a start begins a new file.
_LOG_LIMIT = 1024 * 1024
#: Seconds until it must answer, and until it must have ended.
_START_LIMIT, STOP_LIMIT = 15.0, 10.0


def find_mosquitto() -> str | None:
    """The program's absolute path; None where it is not installed."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_ELSEWHERE)
    return None if found is None else str(Path(found).absolute())


def configuration(folder: Path, port: int) -> str:
    """A `mosquitto.conf` for loopback that saves what it holds every second, and when it ends.

    Persistence alone saves every half hour. `autosave_on_changes` saves all it holds at every change, which is
    fifty times slower with 3,000 messages waiting.
    """
    if "\n" in str(folder):
        raise ConfigError("Mosquitto cannot be given a folder with a line break in its name", where=repr(str(folder)))
    lines = [
        "# Written by fp-events at every start of its embedded broker: changes here are lost.",
        f"listener {port} {LOOPBACK}",
        "allow_anonymous true",
        f"auto_id_prefix {_name(folder)}",
        "persistence true",
        f"persistence_location {folder}/",
        "persistence_file mosquitto.db",
        "autosave_interval 1",
        "# The default of 1000 drops what comes after it, while publishers see success.",
        "max_queued_messages 0",
        "max_inflight_messages 1000",
        "# All that MQTT allows, and paho. The default since 2.1 ends the connection of who sends more than 2 MB.",
        "max_packet_size 268435455",
        "# Without it, small packets wait 40 ms for each other.",
        "set_tcp_nodelay true",
        "connection_messages false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
        "log_type notice",
        "log_timestamp_format %Y-%m-%dT%H:%M:%S%z",
    ]
    if os.geteuid() == 0:
        lines.append("# As root it would become another user, who cannot write this folder.")
        lines.append("user root")
    return "\n".join(lines) + "\n"


async def launch(program: str, folder: Path, port: int) -> BrokerRecord:
    """Start Mosquitto and wait until it answers.

    Raises BrokerUnavailable, with what it said last, where it ends or stays silent; nothing is left running then.
    """
    record = await run_sync(_spawn, program, folder, port)
    try:
        with anyio.move_on_after(_START_LIMIT):
            while await run_sync(record.alive):
                if await run_sync(answers, port, record.name):
                    return record
                await anyio.sleep(0.02)
        raise BrokerUnavailable(
            f"Mosquitto did not start on port {port}: {await run_sync(last_words, folder)}",
            where="mqtt.url: embedded",
            mend=f"see {log_path(folder)}",
        )
    except BaseException:
        with anyio.CancelScope(shield=True):
            await run_sync(end, record)
        raise


def survivor(folder: Path, port: int | None) -> BrokerRecord | None:
    """The broker that an earlier owner left, if it is as we would start it on `port`; else it is ended."""
    record = read_record(folder)
    if record is None or record.kind != "mosquitto" or not record.alive():
        return None
    conf = conf_path(folder)
    current = conf.exists() and conf.read_text() == configuration(folder, record.port)
    if current and port in (None, record.port) and answers(record.port, record.name):
        return record
    end(record)
    return None


def end(record: BrokerRecord) -> None:
    """SIGTERM, on which it saves, and SIGKILL where that does not help."""
    if record.pid is not None:
        terminate(record.pid, record.mark, grace=STOP_LIMIT)


def conf_path(folder: Path) -> Path:
    """The generated configuration; as an argument it marks the process as ours."""
    return folder / "mosquitto.conf"


def log_path(folder: Path) -> Path:
    """What the broker says."""
    return folder / "mosquitto.log"


def last_words(folder: Path) -> str:
    """The last error in the log, or its last line, without the time."""
    log = log_path(folder)
    lines = log.read_text(errors="replace").splitlines()[-20:] if log.exists() else []
    chosen = [line for line in lines if "Error" in line] or lines or ["it said nothing"]
    return re.sub(r"^\d[\d:T+-]*: ", "", chosen[-1])


def _spawn(program: str, folder: Path, port: int) -> BrokerRecord:
    log, conf = log_path(folder), conf_path(folder)
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
    conf.write_text(configuration(folder, port))
    pid = spawn([program, "-c", str(conf)], log=log)
    record = BrokerRecord(port=port, kind="mosquitto", pid=pid, mark=str(conf), name=_name(folder))
    # Before it answers: should we be killed now, the next start finds it.
    write_record(folder, record)
    return record


def _name(folder: Path) -> str:
    return f"embedded-{blake2b(os.fsencode(folder), digest_size=6).hexdigest()}-"
