"""The order of reads, log writes, syncs and acknowledgements in a trace of strace.

The trace is made with ``strace -f -yy -xx -s 70000 -e trace=…``: every string in hexadecimal, every descriptor with
what it is. A line is written when a call ends; one that another thread interrupts has two lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from .frames import PUBACK, PUBLISH, Splitter

CALLS = "read,recvfrom,recvmsg,readv,write,sendto,sendmsg,writev,pwrite64,fsync,fdatasync"
_LINE = re.compile(r"^(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)$")
_CALL = re.compile(r"^(\w+)\((\d+)<(.*?)>(?=[,) ])")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_HEX = re.compile(r"\\x([0-9a-f]{2})")
_ENDED = re.compile(r"= (-?\d+)")
_NUMBER = re.compile(rb'\{"i": (\d+),')
_INBOUND = frozenset(("read", "recvfrom", "recvmsg", "readv"))
_OUTBOUND = frozenset(("write", "sendto", "sendmsg", "writev"))
_SYNC = frozenset(("fsync", "fdatasync"))


@dataclass(slots=True)
class Order:
    """What was found."""

    #: Acknowledgements that left, and those among them without a sync of the log after their message was written.
    acknowledged: int = 0
    violations: list[int] = field(default_factory=list)
    syncs: int = 0


@dataclass(slots=True)
class _Checker:
    order: Order = field(default_factory=Order)
    down: Splitter = field(default_factory=Splitter)
    up: Splitter = field(default_factory=Splitter)
    open: dict[int, int] = field(default_factory=dict)
    written: set[int] = field(default_factory=set)
    durable: set[int] = field(default_factory=set)

    def received(self, data: bytes) -> None:
        for frame in self.down.feed(data):
            found = _NUMBER.search(frame.data)
            if frame.kind == PUBLISH and found:
                self.open[frame.packet_id] = int(found[1])

    def sent(self, data: bytes) -> None:
        for frame in self.up.feed(data):
            if frame.kind != PUBACK or frame.packet_id not in self.open:
                continue
            number = self.open.pop(frame.packet_id)
            self.order.acknowledged += 1
            if number not in self.durable:
                self.order.violations.append(number)


def check(lines: Iterable[str], port: int) -> Order:
    """Follow one connection to a broker's port, and the log of one ledger."""
    checker = _Checker()
    syncing: dict[str, set[int]] = {}
    for thread, name, target, text, whole in _calls(lines):
        if target.endswith("-wal"):
            if name == "pwrite64":
                checker.written.update(int(number) for number in _NUMBER.findall(_bytes(text)))
            elif name in _SYNC:
                # What is written while a sync runs is not covered by it.
                covered = syncing.pop(thread, None)
                covered = set(checker.written) if covered is None else covered
                if not whole:
                    syncing[thread] = covered
                elif _result(text) == 0:
                    checker.durable |= covered
                    checker.order.syncs += 1
        elif target.startswith("TCP") and f":{port}]" in target:
            count = _result(text)
            if name in _INBOUND and whole and count > 0:
                checker.received(_bytes(text)[:count])
            elif name in _OUTBOUND and whole and count > 0:
                checker.sent(_bytes(text)[:count])
    return checker.order


def _calls(lines: Iterable[str]) -> Iterator[tuple[str, str, str, str, bool]]:
    """(thread, call, what its descriptor is, its text, whether it has ended).

    An interrupted call comes twice, the second time with the text of both lines.
    """
    begun: dict[str, tuple[str, str, str]] = {}
    for line in lines:
        parts = _LINE.match(line)
        if parts is None:
            continue
        thread, resumed, rest = parts.groups()
        if resumed:
            name, target, text = begun.pop(thread, (resumed, "", ""))
            yield thread, name, target, text + rest, True
            continue
        call = _CALL.match(rest)
        if call is None:
            continue
        name, _, target = call.groups()
        if target.startswith("\\x"):
            target = bytes.fromhex("".join(_HEX.findall(target))).decode(errors="replace")
        if rest.endswith("<unfinished ...>"):
            begun[thread] = (name, target, rest)
            yield thread, name, target, rest, False
        else:
            yield thread, name, target, rest, True


def _bytes(text: str) -> bytes:
    return b"".join(bytes.fromhex(found.replace("\\x", "")) for found in _TEXT.findall(text))


def _result(text: str) -> int:
    found = _ENDED.findall(text)
    return int(found[-1]) if found else -1
