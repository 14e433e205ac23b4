"""What must be where: the publisher's log, the sink's log and the ledger, compared.

Lost is what was acknowledged and is neither a result, nor a dead letter, nor pending.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .publisher import KEYS, identified

#: One result as the sink has it: topic, payload, user properties.
Result = tuple[str, bytes, dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """The end of a ledger, by message number."""

    #: Number -> ids of its runs.
    runs: dict[int, list[str]]
    succeeded: frozenset[int]
    dead: frozenset[int]
    #: Runs that are not finished, and finished ones whose results wait to be published or were refused.
    pending: frozenset[int]
    #: Key -> the state that the ledger has, and how many runs of it succeeded.
    states: dict[str, int]
    successes: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What became of the messages that the broker acknowledged."""

    acknowledged: int
    results: int
    dead: int
    pending: int
    #: Numbers that are nowhere.
    lost: tuple[int, ...]
    #: Results that came again, with the same `event_id`.
    published_again: int
    #: Messages that ran twice although they said who they are, and those that did not say.
    ran_twice_identified: int
    ran_twice: int
    #: Functions that were called again for a message.
    effects_again: int
    #: Keys whose state is not one step for each run that succeeded.
    wrong_states: int
    #: Results whose first arrival was before that of an earlier one of their key.
    disordered: int

    @property
    def sound(self) -> bool:
        """Nothing that the promise rules out."""
        return not (self.lost or self.ran_twice_identified or self.wrong_states or self.disordered)

    def __str__(self) -> str:
        parts = [
            f"lost {len(self.lost)} of {self.acknowledged}",
            f"published again {self.published_again}",
            f"functions called again {self.effects_again}",
            f"ran twice {self.ran_twice_identified} identified, {self.ran_twice} not",
        ]
        parts += [f"{self.dead} dead letters"] * bool(self.dead) + [f"{self.pending} pending"] * bool(self.pending)
        parts += [f"{self.wrong_states} WRONG STATES"] * bool(self.wrong_states)
        parts += [f"{self.disordered} OUT OF ORDER"] * bool(self.disordered)
        parts += [f"LOST {list(self.lost[:5])}"] * bool(self.lost)
        return "; ".join(parts)


def acknowledged(log: Path) -> set[int]:
    """Numbers that the broker took, from the publisher's log; a torn last line counts for nothing."""
    if not log.exists():
        return set()
    lines = [line.split() for line in log.read_text().splitlines()]
    return {int(line[0]) for line in lines if len(line) == 2 and int(line[1]) < 0x80}


def number_of(payload: bytes) -> int:
    """A message's number; -1 where it is none of the publisher's."""
    try:
        return int(json.loads(payload)["i"])
    except (ValueError, KeyError, TypeError):
        return -1


def read_ledger(path: Path, pipeline: str = "count") -> Ledger:
    """Everything about one pipeline, after the daemon has ended or beside it."""
    uri = f"file:{path}?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as db:
        rows = db.execute(
            """SELECT m.payload, r.run_id, r.state, r.outcome, r.dead_letter, r.key,
                      r.seq IN (SELECT run_seq FROM outbox)
               FROM runs r JOIN messages m ON m.id = r.message_id WHERE r.pipeline = ? ORDER BY r.seq""",
            (pipeline,),
        ).fetchall()
        states = db.execute("SELECT key, value FROM state WHERE pipeline = ?", (pipeline,)).fetchall()
    runs: dict[int, list[str]] = defaultdict(list)
    succeeded, dead, pending = set(), set(), set()
    successes: Counter[str] = Counter()
    for payload, run_id, state, outcome, dead_letter, key, unsent in rows:
        number = number_of(payload)
        runs[number].append(run_id)
        if outcome == "succeeded":
            succeeded.add(number)
            successes[key] += 1
        if dead_letter:
            dead.add(number)
        if state != "finished" or unsent:
            pending.add(number)
    return Ledger(
        runs=dict(runs),
        succeeded=frozenset(succeeded),
        dead=frozenset(dead),
        pending=frozenset(pending),
        states={key: _count_in(value) for key, value in states},
        successes=dict(successes),
    )


def account(log: Path, results: Sequence[Result], ledger: Ledger, effects: Iterable[int]) -> Account:
    """Compare everything."""
    sent = acknowledged(log)
    seen, again, disordered = _arrivals(results)
    twice = [number for number, ids in ledger.runs.items() if len(ids) > 1 and number >= 0]
    called = Counter(effects)
    return Account(
        acknowledged=len(sent),
        results=len(seen),
        dead=len(ledger.dead),
        pending=len(ledger.pending),
        lost=tuple(sorted(sent - seen - ledger.dead - ledger.pending)),
        published_again=again,
        ran_twice_identified=sum(1 for number in twice if identified(number)),
        ran_twice=sum(1 for number in twice if not identified(number)),
        effects_again=called.total() - len(called),
        wrong_states=sum(1 for key, value in ledger.states.items() if value != ledger.successes.get(key, 0)),
        disordered=disordered,
    )


def _arrivals(results: Sequence[Result]) -> tuple[set[int], int, int]:
    """Numbers that have a result; repeated results; those that first came after a later one of their key."""
    events: set[str] = set()
    seen: set[int] = set()
    newest = dict.fromkeys(range(KEYS), -1)
    again = disordered = 0
    for _, payload, properties in results:
        number = number_of(payload)
        event = properties.get("event_id", "")
        if event in events:
            again += 1
            continue
        events.add(event)
        if number not in seen:
            disordered += number < newest[number % KEYS]
            newest[number % KEYS] = max(newest[number % KEYS], number)
        seen.add(number)
    return seen, again, disordered


def _count_in(state: bytes) -> int:
    """The one integer in a stored state of the campaign's pipeline."""
    from fp_events.codecs.state import state_to_json

    shown = state_to_json(state)
    return int(shown["total"] if isinstance(shown, dict) else shown)
