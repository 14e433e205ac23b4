"""``conf/project.yml``."""

from __future__ import annotations

import re
from typing import Any, Final

from .adapters_block import adapter_block, one_adapter
from .blocks import New, Old, is_empty
from .broker import broker_block
from .layouts import OldProject
from .report import Judge, Kind, Migration

_NAME: Final = re.compile(r"[a-z0-9_-]{1,64}")
_LEDGER = "messages, runs and schedules are kept in the daemon's own ledger; `fp-events serve` needs no other service"
_WORKERS = "`fp-events serve` runs pipelines itself; `run.executor.max_workers` is the size of a pool"
_RQ = "to run pipelines on RQ workers, write `run: {{executor: {{type: rq, url: {url}, queue: {queue}}}}}`"


def project_file(found: OldProject, migration: Migration, judge: Judge) -> New:
    """Translate the project's file, or what stood in its stead before version 0.6."""
    new = New("conf/project.yml", "project", judge)
    old = Old(migration, found.project) if found.project else None
    _name(old, new, migration)
    if old is not None:
        _blocks(old, new, migration)
    scheduler, tracker = found.shared.get("scheduler"), found.shared.get("tracker")
    if tracker is not None:
        block = Old(migration, tracker)
        block.drop("pipeline")
        one_adapter(block, "hamilton_tracker", new)
    if scheduler is not None:
        block = Old(migration, scheduler)
        block.drop("pipeline")
        _worker(block, new, migration)
    return new


def _name(old: Old | None, new: New, migration: Migration) -> None:
    given = old.take("name") if old is not None else None
    name = str(given or migration.source.name)
    migration.name = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:64] or "project"
    if old is not None and given and not _NAME.fullmatch(name):
        new.put(old, "name", migration.name, ("name",), note="topics are made of it: a-z, 0-9, '_' and '-'")
    else:
        # Without it, the new folder's name would be the project's.
        new.set(("name",), migration.name)


def _blocks(old: Old, new: New, migration: Migration) -> None:
    adapter_block(old.block("adapter"), new)
    one_adapter(old.block("tracker"), "hamilton_tracker", new)
    one_adapter(old.block("open_telemetry"), "opentelemetry", new)
    for name in ("worker", "scheduler", "job_queue"):
        block = old.block(name)
        # For a while `worker` was what became `job_queue`.
        if "type" in block.left or name == "job_queue":
            _job_queue(block, new, migration)
        else:
            _worker(block, new, migration)
    mqtt = old.block("mqtt")
    if mqtt.left:
        broker_block(mqtt, new, migration)
    hooks = old.take("hooks_dir")
    if hooks not in (None, "hooks"):
        old.tell(Kind.CHANGED, "hooks_dir", hooks, "hooks/", "hooks are always in the folder hooks")
    old.end()


def _worker(old: Old, new: New, migration: Migration) -> None:
    """The scheduler of APScheduler: data store, event broker, clean-up, jobs at a time."""
    _event_broker(old.block("event_broker"), new, migration)
    for name, note in (
        ("data_store", _LEDGER),
        ("cleanup_interval", "what is old leaves the ledger by itself, as `ledger.retention` says"),
        ("max_concurrent_jobs", _WORKERS),
        ("default_job_executor", "each pipeline's `run.executor` says where it runs"),
    ):
        value = old.take(name)
        if not is_empty(value):
            old.tell(Kind.DROPPED, name, value, note=note)
    old.end()


def _event_broker(old: Old, new: New, migration: Migration) -> None:
    if not old.left:
        return
    if old.left.get("type") == "mqtt":
        broker_block(old, new, migration)
        return
    value = dict(old.left)
    old.left.clear()
    if value.get("type") not in (None, "memory", "local"):
        old.migration.tell(Kind.DROPPED, old.where(), old.key("type"), value["type"], note=_LEDGER)


def _job_queue(old: Old, new: New, migration: Migration) -> None:
    if not old.left:
        return
    kind = old.take("type") or "rq"
    workers = old.take("num_workers")
    backend = old.block("backend")
    if kind == "apscheduler":
        old.tell(Kind.DROPPED, "type", kind, note=_LEDGER)
        backend.drop("type", "uri", "username", "password", "host", "port", "database", "ssl")
        workers = backend.take("num_workers") or workers
        _worker(backend, new, migration)
    else:
        # The guide has Redis' address beside the type, the releases below `backend`.
        beside = {name: old.take(f"redis_{name}") for name in ("host", "port", "db", "password")}
        url, queue = _redis(backend, beside)
        note = f"{_LEDGER}; {_RQ.format(url=url, queue=queue)} and start `fp-events worker rq --num-workers "
        old.tell(Kind.DROPPED, "type", kind, note=f"{note}{workers or 1}`")
    if workers:
        old.tell(Kind.DROPPED, "num_workers", workers, note=_WORKERS)
    old.end(_LEDGER)


def _redis(backend: Old, beside: dict[str, Any]) -> tuple[str, str]:
    """Redis' address, without the password, and the first of the queues."""
    host = backend.take("host") or beside["host"] or "127.0.0.1"
    port = backend.take("port") or beside["port"] or 6379
    database = backend.take("database") or beside["db"] or 0
    secret = backend.take("password") or beside["password"]
    scheme = "rediss" if backend.take("ssl") else "redis"
    queues = backend.take("queues") or ["fp-events"]
    backend.left.clear()
    first = queues.split(",")[0] if isinstance(queues, str) else str(queues[0])
    return f"{scheme}://{':${REDIS_PASSWORD}@' if secret else ''}{host}:{port}/{database}", first.strip()
