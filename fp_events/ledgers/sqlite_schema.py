"""The tables of a SQLite ledger, and how older ones become it.

Times are integer microseconds since 1970 UTC; enums are the text of their values. Shapes that will hold more
than today's daemon writes are there from the first version on, since tables with millions of rows are better
not rewritten: a run names its first message itself, and `run_messages` the others of a batch; `owners` has a
row per daemon; `schedules` belongs to the scheduler.
"""

from __future__ import annotations

#: Marks the file as a ledger (PRAGMA application_id): "fpev".
APPLICATION_ID = 0x66706576

# A column that may be long comes last, so that reading the others touches no overflow page.
# On the path of a run that succeeds, each index costs an insert, and a partial one that leaves the run out costs
# nothing: so all are partial but the ones for the run id and the pipeline.
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
    """CREATE TABLE runs (
        seq INTEGER PRIMARY KEY, -- order of acceptance
        run_id TEXT NOT NULL UNIQUE,
        pipeline TEXT NOT NULL,
        cause TEXT NOT NULL,
        state TEXT NOT NULL,
        epoch INTEGER NOT NULL, -- owner of the last claim
        attempt INTEGER NOT NULL,
        attempt_base INTEGER NOT NULL DEFAULT 0,
        crashes INTEGER NOT NULL DEFAULT 0,
        alone INTEGER NOT NULL DEFAULT 0,
        trigger_index INTEGER,
        trigger_topic TEXT NOT NULL,
        key TEXT,
        captures TEXT,
        message_id INTEGER, -- the first message
        created_at INTEGER NOT NULL,
        due_at INTEGER,
        expires_at INTEGER,
        deadline_at INTEGER,
        outcome TEXT,
        dead_letter INTEGER NOT NULL DEFAULT 0,
        started_at INTEGER,
        finished_at INTEGER,
        duration REAL NOT NULL DEFAULT 0.0, -- seconds
        version TEXT NOT NULL DEFAULT '',
        outbox_from INTEGER, -- the rows of the outbox that this run wrote lie between these
        outbox_to INTEGER,
        request BLOB,
        outputs BLOB
    )""",
    "CREATE INDEX runs_by_pipeline ON runs (pipeline, seq)",
    "CREATE INDEX runs_unfinished ON runs (seq) WHERE state <> 'finished'",
    "CREATE INDEX runs_alone ON runs (seq) WHERE alone = 1",
    "CREATE INDEX runs_done ON runs (finished_at) WHERE state = 'finished' AND dead_letter = 0",
    "CREATE INDEX runs_dead ON runs (seq) WHERE dead_letter = 1",
    "CREATE INDEX runs_dead_done ON runs (finished_at) WHERE dead_letter = 1",
    "CREATE INDEX runs_unsuccessful ON runs (seq) WHERE outcome <> 'succeeded'",
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

#: Statements that lead from version n (PRAGMA user_version) to n + 1.
MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
