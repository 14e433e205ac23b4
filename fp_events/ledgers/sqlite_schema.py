"""The tables of a SQLite ledger, and how older ones become it.

Times are integer microseconds since 1970 UTC; enums are the text of their values. Shapes that will hold more
than today's daemon writes are there from the first version on, since tables with millions of rows are better
not rewritten: a run names its first message itself, and `run_messages` the others of a batch; `owners` has a
row per daemon; `schedules` belongs to the scheduler. The view `runs` shows a run as one row; for people and tests.
"""

from __future__ import annotations

#: Marks the file as a ledger (PRAGMA application_id): "fpev".
APPLICATION_ID = 0x66706576

#: A run as one row, of `accepted_runs AS a`, `live_runs AS l` and `ended_runs AS e`.
RUN_COLUMNS = (
    "a.seq, a.run_id, a.pipeline, a.cause, coalesce(l.state, 'finished') AS state, coalesce(l.epoch, e.epoch) AS epoch,"
    " coalesce(l.attempt, e.attempt) AS attempt, a.attempt_base, a.crashes, coalesce(l.alone, 0) AS alone,"
    " a.trigger_index, a.trigger_topic, a.key, a.captures, a.message_id, a.created_at, l.due_at, a.expires_at,"
    " a.deadline_at, e.outcome, coalesce(e.dead_letter, 0) AS dead_letter, e.started_at, e.finished_at,"
    " coalesce(e.duration, 0.0) AS duration, coalesce(l.version, e.version) AS version, a.request, e.outputs"
)
ALL_RUNS = "accepted_runs AS a LEFT JOIN live_runs AS l ON l.seq = a.seq LEFT JOIN ended_runs AS e ON e.seq = a.seq"

# A column that may be long comes last, so that reading the others touches no overflow page.
# A run's row is not changed on the path of a run that succeeds: its end is a row of its own, since appending to a
# table costs a third of making a row in the middle of one longer. Each index costs an insert, and a partial one that
# leaves the run out costs nothing: so all are partial but the ones for the run id and the pipeline.
_FIRST = (
    """CREATE TABLE messages (
        id INTEGER PRIMARY KEY,
        topic TEXT NOT NULL,
        qos INTEGER NOT NULL,
        retain INTEGER NOT NULL,
        received_at INTEGER NOT NULL,
        session INTEGER,
        packet_id INTEGER,
        uses INTEGER NOT NULL, -- runs that name this message; at 0 it goes
        properties TEXT,
        payload BLOB NOT NULL
    )""",
    "CREATE INDEX messages_unused ON messages (received_at) WHERE uses = 0",
    # What is known of a run when it is accepted. A run that succeeds never changes this row, nor does its end.
    """CREATE TABLE accepted_runs (
        seq INTEGER PRIMARY KEY, -- order of acceptance
        run_id TEXT NOT NULL UNIQUE,
        pipeline TEXT NOT NULL,
        cause TEXT NOT NULL,
        attempt_base INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        trigger_index INTEGER,
        trigger_topic TEXT NOT NULL,
        key TEXT,
        message_id INTEGER, -- the first message
        created_at INTEGER NOT NULL,
        expires_at INTEGER,
        deadline_at INTEGER,
        outbox_from INTEGER, -- as in ended_runs, for ends before the run was opened again
        outbox_to INTEGER,
        captures TEXT,
        request BLOB
    )""",
    "CREATE INDEX runs_by_pipeline ON accepted_runs (pipeline, seq)",
    # One row per run that is not FINISHED: small, since it is written and deleted with every run.
    """CREATE TABLE live_runs (
        seq INTEGER PRIMARY KEY,
        state TEXT NOT NULL,
        epoch INTEGER NOT NULL, -- owner of the last claim
        attempt INTEGER NOT NULL,
        alone INTEGER NOT NULL DEFAULT 0,
        due_at INTEGER,
        version TEXT NOT NULL DEFAULT '' -- of the last attempt that failed
    )""",
    # One row per run that is FINISHED.
    """CREATE TABLE ended_runs (
        seq INTEGER PRIMARY KEY,
        outcome TEXT NOT NULL,
        dead_letter INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        started_at INTEGER,
        finished_at INTEGER NOT NULL,
        duration REAL NOT NULL, -- seconds
        version TEXT NOT NULL,
        outbox_from INTEGER, -- the rows of the outbox that this run wrote lie between these
        outbox_to INTEGER,
        outputs BLOB
    )""",
    "CREATE INDEX runs_done ON ended_runs (finished_at) WHERE dead_letter = 0",
    "CREATE INDEX runs_dead ON ended_runs (seq) WHERE dead_letter = 1",
    "CREATE INDEX runs_dead_done ON ended_runs (finished_at) WHERE dead_letter = 1",
    "CREATE INDEX runs_unsuccessful ON ended_runs (seq) WHERE outcome <> 'succeeded'",
    f"CREATE VIEW runs AS SELECT {RUN_COLUMNS} FROM {ALL_RUNS}",  # noqa: S608  # constants
    """CREATE TABLE run_messages (
        run_seq INTEGER NOT NULL,
        position INTEGER NOT NULL, -- from 1; 0 is runs.message_id
        message_id INTEGER NOT NULL,
        PRIMARY KEY (run_seq, position)
    ) WITHOUT ROWID""",
    """CREATE TABLE attempts (
        run_seq INTEGER NOT NULL,
        number INTEGER NOT NULL,
        ended TEXT NOT NULL,
        version TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        duration REAL NOT NULL,
        failure TEXT,
        PRIMARY KEY (run_seq, number)
    ) WITHOUT ROWID""",
    """CREATE TABLE outbox (
        seq INTEGER PRIMARY KEY,
        event_id TEXT NOT NULL UNIQUE,
        run_seq INTEGER NOT NULL,
        topic TEXT NOT NULL,
        qos INTEGER NOT NULL,
        retain INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        refused TEXT, -- the broker's reason; NULL while unsent
        properties TEXT,
        payload BLOB NOT NULL
    )""",
    "CREATE INDEX outbox_refused ON outbox (seq) WHERE refused IS NOT NULL",
    """CREATE TABLE state (
        pipeline TEXT NOT NULL,
        key TEXT NOT NULL,
        run_id TEXT NOT NULL,
        updated_at INTEGER NOT NULL,
        value BLOB NOT NULL,
        PRIMARY KEY (pipeline, key)
    ) WITHOUT ROWID""",
    """CREATE TABLE dedup (
        seq INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        seen_at INTEGER NOT NULL
    )""",
    """CREATE TABLE schedules (
        id TEXT PRIMARY KEY,
        pipeline TEXT NOT NULL,
        spec TEXT NOT NULL, -- JSON {kind, expression, zone}
        enabled INTEGER NOT NULL,
        next_fire_at INTEGER,
        last_fire_at INTEGER,
        request TEXT, -- JSON
        updated_at INTEGER NOT NULL
    )""",
    "CREATE INDEX schedules_due ON schedules (next_fire_at) WHERE enabled = 1",
    """CREATE TABLE owners (
        id TEXT PRIMARY KEY,
        epoch INTEGER NOT NULL,
        pid INTEGER NOT NULL,
        opened_at INTEGER NOT NULL,
        lease_until INTEGER -- NULL: as long as the file's lock is held
    )""",
    "CREATE TABLE settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    # Numbers that must not go back when rows are deleted: next ids, the confirmed mark.
    "CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE counters (
        pipeline TEXT NOT NULL,
        name TEXT NOT NULL, -- a state, an outcome, or dead_letters
        value INTEGER NOT NULL,
        PRIMARY KEY (pipeline, name)
    ) WITHOUT ROWID""",
)

# What happened to each node of an attempt. Most attempts are not traced, and must not pay for a column.
_SECOND = (
    """CREATE TABLE traces (
        run_seq INTEGER NOT NULL,
        number INTEGER NOT NULL,
        nodes BLOB NOT NULL, -- JSON: a list per node
        PRIMARY KEY (run_seq, number)
    ) WITHOUT ROWID""",
)

#: Statements that lead from version n (PRAGMA user_version) to n + 1.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST, _SECOND)
