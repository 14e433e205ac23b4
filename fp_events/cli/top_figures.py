"""What `top` shows, computed from two looks at the status and the runs that ended last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_FAILURES = ("failed", "timed_out", "rejected", "expired")


def figures(
    before: Mapping[str, Any], now: Mapping[str, Any], ended: Sequence[Mapping[str, Any]], *, within: float
) -> dict[str, Any]:
    """Rates between the two looks, per second; latencies of runs that ended in the last `within` seconds."""
    span = max(now["uptime_s"] - before["uptime_s"], 1e-3)
    earlier = {row["name"]: row for row in before["pipelines"]} if before["pid"] == now["pid"] else {}
    return {
        "project": now["project"],
        "uptime_s": now["uptime_s"],
        "broker": now["broker"],
        "ledger": now["ledger"],
        "pending": now["totals"]["pending"],
        "received_per_s": _rate(before["totals"]["received"], now["totals"]["received"], span),
        "finished_per_s": _rate(before["totals"]["finished"], now["totals"]["finished"], span),
        "pipelines": [_pipeline(earlier.get(row["name"]), row, ended, span, within) for row in now["pipelines"]],
    }


def _pipeline(
    before: Mapping[str, Any] | None,
    now: Mapping[str, Any],
    ended: Sequence[Mapping[str, Any]],
    span: float,
    within: float,
) -> dict[str, Any]:
    old = before or now
    latencies = sorted(_latencies(now["name"], ended, within))
    ages = [each["oldest_ready_s"] for each in now["triggers"] if each["oldest_ready_s"] is not None]
    return {
        "name": now["name"],
        "paused": now["paused"] or any(each["paused"] for each in now["triggers"]),
        "received_per_s": _rate(_received(old), _received(now), span),
        "finished_per_s": _rate(_ended(old), _ended(now), span),
        "failed_per_s": _rate(_ended(old, _FAILURES), _ended(now, _FAILURES), span),
        "queued": now["queued"],
        "running": now["running"],
        "waiting": now["waiting"],
        "oldest_ready_s": max(ages, default=None),
        "latency_p50_s": _quantile(latencies, 0.5),
        "latency_p99_s": _quantile(latencies, 0.99),
        "failed": sum(now[name] for name in _FAILURES),
        "dead_letters": now["dead_letters"],
    }


def _rate(before: float, now: float, span: float) -> float:
    return round(max(0.0, now - before) / span, 2)


def _received(row: Mapping[str, Any]) -> int:
    return sum(each["received"] for each in row["triggers"])


def _ended(row: Mapping[str, Any], outcomes: Iterable[str] | None = None) -> int:
    counts: Mapping[str, int] = row["since_start"]
    return sum(counts.values()) if outcomes is None else sum(counts.get(name, 0) for name in outcomes)


def _latencies(pipeline: str, ended: Iterable[Mapping[str, Any]], within: float) -> Iterable[float]:
    """Seconds from a run's making, or from when it was due, to its end, where one attempt was enough."""
    now = datetime.now(UTC)
    for run in ended:
        if run["pipeline"] != pipeline or run["finished_at"] is None or run["attempt"] != 1:
            continue
        finished = datetime.fromisoformat(run["finished_at"])
        if (now - finished).total_seconds() <= within:
            yield (finished - datetime.fromisoformat(run["due_at"] or run["created_at"])).total_seconds()


def _quantile(values: Sequence[float], share: float) -> float | None:
    return None if not values else round(values[min(len(values) - 1, int(share * len(values)))], 4)
