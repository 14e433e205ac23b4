"""Questions to a SQLite ledger, answered by a connection that changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from fp_events.domain.errors import UsageError
from fp_events.domain.records import RunQuery, StoredAttempt, StoredPublication, StoredRun, StoredState
from fp_events.domain.run import Outcome, RunState

from .sqlite_rows import attempt_of, message_of, micros, moment, publication_of, run_of
from .sqlite_schema import ALL_RUNS, RUN_COLUMNS

_MESSAGE = "m.topic, m.payload, m.qos, m.retain, m.properties, m.received_at"
_WITH_MESSAGE = (
    f"SELECT {RUN_COLUMNS}, {_MESSAGE} FROM {ALL_RUNS}"  # noqa: S608  # constants
    " LEFT JOIN messages AS m ON m.id = a.message_id"
)
_FACTS_OF = "CROSS JOIN accepted_runs AS a ON a.seq ="
# Where few runs of all can be meant, the table or index of those few leads.
_LIVE = f"live_runs AS l {_FACTS_OF} l.seq LEFT JOIN ended_runs AS e ON e.seq = l.seq"
_ENDED = f"ended_runs AS e {_FACTS_OF} e.seq LEFT JOIN live_runs AS l ON l.seq = e.seq"
_UNFINISHED = (
    f"SELECT {RUN_COLUMNS}, {_MESSAGE} FROM {_LIVE}"  # noqa: S608  # constants
    " LEFT JOIN messages AS m ON m.id = a.message_id"
    " WHERE l.seq > ? AND l.seq <= ? ORDER BY l.seq"
)
#: The last row that a page of so many rows and bytes takes in.
_UNFINISHED_TO = """
    SELECT max(seq) FROM (
        SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before FROM (
            SELECT l.seq, coalesce(length(m.payload), 0) AS size FROM live_runs AS l
            CROSS JOIN accepted_runs AS a ON a.seq = l.seq LEFT JOIN messages AS m ON m.id = a.message_id
            WHERE l.seq > ? ORDER BY l.seq LIMIT ?)
    ) WHERE before < ?"""
#: Columns that hold bytes.
_BINARY = frozenset({"request", "outputs", "payload"})
_OUTBOX = "SELECT outbox.*, a.run_id, a.pipeline FROM outbox JOIN accepted_runs AS a ON a.seq = outbox.run_seq"
#: The last row that a page of so many rows and bytes takes in.
_UNSENT_TO = """
    SELECT max(seq) FROM (
        SELECT seq, sum(length(payload)) OVER (ORDER BY seq) - length(payload) AS before
        FROM (SELECT seq, payload FROM outbox WHERE seq > ? AND refused IS NULL ORDER BY seq LIMIT ?)
    ) WHERE before < ?"""
_UNSENT_NAMES = (
    "seq", "event_id", "run_id", "pipeline", "topic", "payload", "qos", "retain", "properties", "created_at", "refused",
)  # fmt: skip
_UNSENT_ROWS = (
    "SELECT json_group_array(json_array(o.seq, o.event_id, a.run_id, a.pipeline, o.topic, hex(o.payload), o.qos,"
    " o.retain, o.properties, o.created_at, o.refused)) FROM (SELECT * FROM outbox WHERE seq > ? AND seq <= ?"
    " AND refused IS NULL ORDER BY seq) AS o CROSS JOIN accepted_runs AS a ON a.seq = o.run_seq"
)
_EVER = 2**62
#: Columns of one row that carries many values: see `read_states`. SQLite's own limit is 2,000.
_MOST_COLUMNS = 128


def read_unfinished(
    db: sqlite3.Connection, after_seq: int, limit: int, max_bytes: int | None = None
) -> list[StoredRun]:
    """As Ledger.unfinished. All rows come in one, since every row fetched hands the interpreter lock over."""
    most = _EVER if max_bytes is None else max_bytes
    (last,) = db.execute(_UNFINISHED_TO, (after_seq, limit, most)).fetchone()
    if last is None:
        return []
    names = [column[0] for column in db.execute(_UNFINISHED, (0, -1)).description]
    columns = ", ".join(f"iif({name} IS NULL, NULL, hex({name}))" if name in _BINARY else name for name in names)
    question = f"SELECT json_group_array(json_array({columns})) FROM ({_UNFINISHED})"  # noqa: S608  # constants
    (text,) = db.execute(question, (after_seq, last)).fetchone()
    rows = []
    for values in sorted(orjson.loads(text)):
        row = dict(zip(names, values, strict=True))
        row.update((name, bytes.fromhex(row[name])) for name in _BINARY if row[name] is not None)
        rows.append(row)
    return _runs(db, rows, with_messages=True, traced=False)


def read_unsent(
    db: sqlite3.Connection, after_seq: int, limit: int, max_bytes: int | None = None
) -> list[StoredPublication]:
    """As Ledger.unsent. All rows come in one, since every row fetched hands the interpreter lock over."""
    most = _EVER if max_bytes is None else max_bytes
    (last,) = db.execute(_UNSENT_TO, (after_seq, limit, most)).fetchone()
    if last is None:
        return []
    (text,) = db.execute(_UNSENT_ROWS, (after_seq, last)).fetchone()
    return [publication_of(dict(zip(_UNSENT_NAMES, row, strict=True))) for row in sorted(orjson.loads(text))]


def read_publications(db: sqlite3.Connection, run_id: str) -> list[StoredPublication]:
    """As Ledger.publications. Reads the outbox through, which holds only what waits or was refused."""
    rows = db.execute(f"{_OUTBOX} WHERE a.run_id = ? ORDER BY outbox.seq", (run_id,))
    return [publication_of(row) for row in rows]


def read_refused(db: sqlite3.Connection, limit: int) -> list[StoredPublication]:
    """As Ledger.refused."""
    rows = db.execute(f"{_OUTBOX} WHERE outbox.refused IS NOT NULL ORDER BY outbox.seq DESC LIMIT ?", (limit,))
    return [publication_of(row) for row in rows]


def read_states(db: sqlite3.Connection, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], bytes]:
    """As Ledger.states. All values come in one row, since every row fetched hands the interpreter lock over."""
    wanted = list(keys)
    found: dict[tuple[str, str], bytes] = {}
    for start in range(0, len(wanted), _MOST_COLUMNS):
        chunk = wanted[start : start + _MOST_COLUMNS]
        size = 1 << (len(chunk) - 1).bit_length()
        column = "(SELECT value FROM state WHERE pipeline = ? AND key = ?)"
        parameters: list[str | None] = [part for key in chunk for part in key]
        parameters += [None] * (2 * (size - len(chunk)))
        values = db.execute("SELECT " + ",".join([column] * size), parameters).fetchone()
        found.update((key, value) for key, value in zip(chunk, values, strict=False) if value is not None)
    return found


def list_states(db: sqlite3.Connection, pipeline: str | None, limit: int, after: str) -> list[StoredState]:
    """As Ledger.list_states."""
    where = "key > ?" if pipeline is None else "key > ? AND pipeline = ?"
    parameters = (after, limit) if pipeline is None else (after, pipeline, limit)
    rows = db.execute(f"SELECT * FROM state WHERE {where} ORDER BY pipeline, key LIMIT ?", parameters)  # noqa: S608  # constants
    return [
        StoredState(
            pipeline=row["pipeline"],
            key=row["key"],
            value=row["value"],
            run_id=row["run_id"],
            updated_at=moment(row["updated_at"]),
        )
        for row in rows
    ]


def read_runs(db: sqlite3.Connection, query: RunQuery) -> list[StoredRun]:
    """As Ledger.runs."""
    source, seq = _source(query)
    where, parameters = _conditions(query, seq)
    condition = f"WHERE {' AND '.join(where)}" if where else ""
    statement = f"SELECT {RUN_COLUMNS} FROM {source} {condition} ORDER BY {seq} DESC LIMIT ?"  # noqa: S608  # constants
    return _runs(db, db.execute(statement, [*parameters, query.limit]).fetchall(), with_messages=False)


def _source(query: RunQuery) -> tuple[str, str]:
    """The tables in the order in which they are to be read, and the column that orders them."""
    if query.states and RunState.FINISHED not in query.states:
        return _LIVE, "l.seq"
    if query.dead_letters or (query.outcomes and Outcome.SUCCEEDED not in query.outcomes):
        return _ENDED, "e.seq"
    return ALL_RUNS, "a.seq"


def _conditions(query: RunQuery, seq: str) -> tuple[list[str], list[object]]:
    where: list[str] = []
    parameters: list[object] = []

    def add(condition: str, *values: object) -> None:
        where.append(condition)
        parameters.extend(values)

    if query.dead_letters:
        add("e.dead_letter = 1")
    if query.states:
        states = _any_of("coalesce(l.state, 'finished')", len(query.states))
        add(states, *(state.value for state in query.states))
    if query.outcomes:
        add(_any_of("e.outcome", len(query.outcomes)), *(outcome.value for outcome in query.outcomes))
        if Outcome.SUCCEEDED not in query.outcomes:
            add("e.outcome <> 'succeeded'")
    if query.pipeline is not None:
        add("a.pipeline = ?", query.pipeline)
    if query.key is not None:
        add("a.key = ?", query.key)
    if query.created_after is not None:
        add("a.created_at > ?", micros(query.created_after))
    if query.created_before is not None:
        add("a.created_at < ?", micros(query.created_before))
    if query.before_seq is not None:
        add(f"{seq} < ?", query.before_seq)
    return where, parameters


def _any_of(column: str, number: int) -> str:
    return f"{column} IN ({','.join('?' * number)})"


def read_run(db: sqlite3.Connection, run_id: str) -> StoredRun | None:
    """As Ledger.run. Raises UsageError where several ids begin with `run_id`."""
    rows = db.execute(f"{_WITH_MESSAGE} WHERE a.run_id = ?", (run_id,)).fetchall()
    if not rows:
        rows = db.execute(
            f"{_WITH_MESSAGE} WHERE a.run_id >= ? AND a.run_id < ? LIMIT 2", (run_id, run_id + "\U0010ffff")
        ).fetchall()
    if len(rows) > 1:
        raise ambiguous(run_id)
    found = _runs(db, rows, with_messages=True)
    return found[0] if found else None


def ambiguous(run_id: str) -> UsageError:
    """Several runs begin so."""
    return UsageError(f"several runs have an id that begins with '{run_id}'", mend="give more of it")


def read_counts(db: sqlite3.Connection) -> dict[str, Mapping[str, int]]:
    """As Ledger.counts."""
    found: dict[str, dict[str, int]] = {}
    for pipeline, name, value in db.execute("SELECT pipeline, name, value FROM counters WHERE value <> 0"):
        found.setdefault(pipeline, {})[name] = value
    return dict(found)


def _runs(
    db: sqlite3.Connection, rows: Sequence[sqlite3.Row | Mapping[str, Any]], *, with_messages: bool, traced: bool = True
) -> list[StoredRun]:
    traces = _traces(db, [row["seq"] for row in rows]) if with_messages and traced else {}
    attempts = _attempts(db, [row["seq"] for row in rows], traces)
    found = []
    for row in rows:
        history = attempts.get(row["seq"], ())
        if with_messages:
            message = None if row["topic"] is None else message_of(row)
            succeeded = row["outcome"] == Outcome.SUCCEEDED.value
            nodes = traces.get((row["seq"], row["attempt"])) if succeeded else None
            found.append(run_of(row, message, tuple(history), nodes))
        else:
            found.append(run_of(row, None, tuple(history[-1:])))
    return found


def _traces(db: sqlite3.Connection, seqs: Sequence[int]) -> dict[tuple[int, int], bytes]:
    """What happened to the nodes, by run and attempt; for few runs."""
    found = {}
    for seq in seqs:
        for number, nodes in db.execute("SELECT number, nodes FROM traces WHERE run_seq = ?", (seq,)):
            found[seq, number] = nodes
    return found


def _attempts(
    db: sqlite3.Connection, seqs: Sequence[int], traces: Mapping[tuple[int, int], bytes]
) -> dict[int, list[StoredAttempt]]:
    found: dict[int, list[StoredAttempt]] = {}
    for start in range(0, len(seqs), 512):
        chunk = seqs[start : start + 512]
        statement = f"SELECT * FROM attempts WHERE run_seq IN ({','.join('?' * len(chunk))}) ORDER BY run_seq, number"  # noqa: S608  # marks
        for row in db.execute(statement, chunk):
            found.setdefault(row["run_seq"], []).append(attempt_of(row, traces.get((row["run_seq"], row["number"]))))
    return found
