"""Where the embedded broker listens, and how other processes find it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from .probe import LOOPBACK, answers
from .processes import is_alive


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the embedded broker listens, and what it is."""

    host: str
    port: int
    kind: Literal["mosquitto", "amqtt"]
    #: False: what it holds for us is lost with its process, so `fp-events` cannot keep its promise.
    durable: bool
    #: It was running before this process asked for it.
    adopted: bool

    @property
    def url(self) -> str:
        """As in `mqtt.url`."""
        return f"mqtt://{self.host}:{self.port}"

    @property
    def protocol(self) -> Literal["5", "3.1.1"]:
        """The newest that it speaks."""
        return "5" if self.kind == "mosquitto" else "3.1.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerRecord:
    """What `broker.json` holds. The port outlives the broker, so that devices find it again."""

    host: str = LOOPBACK
    port: int
    kind: Literal["mosquitto", "amqtt"]
    #: None: stopped on purpose.
    pid: int | None
    #: Part of the command line of `pid`; tells our broker from a later process of the same number.
    mark: str
    #: What the broker says it is, see `probe.answers`; empty for one that cannot say.
    name: str = ""

    def alive(self) -> bool:
        """Whether the recorded process still is that broker. It need not answer."""
        return is_alive(self.pid, self.mark)

    def address(self, *, adopted: bool) -> BrokerAddress:
        """What the world is told."""
        durable = self.kind == "mosquitto"
        return BrokerAddress(host=self.host, port=self.port, kind=self.kind, durable=durable, adopted=adopted)


def read_address(folder: Path) -> BrokerAddress | None:
    """The embedded broker of the project whose `.fp-events` is `folder`; None unless it runs and answers."""
    record = read_record(folder)
    if record is None or not record.alive() or not answers(record.port, record.name):
        return None
    return record.address(adopted=True)


def read_record(folder: Path) -> BrokerRecord | None:
    """`broker.json`; None where there is none, or what there is cannot be understood."""
    with suppress(OSError, ValueError, TypeError):
        return BrokerRecord(**json.loads((folder / "broker.json").read_text()))
    return None


def write_record(folder: Path, record: BrokerRecord) -> None:
    """Replace `broker.json` in one step: readers see the old one or the new one."""
    beside = folder / "broker.json.new"
    beside.write_text(json.dumps(asdict(record)) + "\n")
    beside.replace(folder / "broker.json")
