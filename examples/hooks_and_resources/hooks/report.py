"""Called once it is durable."""

from pathlib import Path

from fp_events.domain.observation import RetryRecord, RunRecord

FILE = Path(__file__).parent.parent / "report.txt"


def failed(record: RunRecord) -> None:
    """A line for each run that did not succeed."""
    why = record.failure.message if record.failure else ""
    with FILE.open("a") as file:
        file.write(f"{record.pipeline} {record.outcome.value} after {record.attempt}: {why}\n")


def retried(record: RetryRecord) -> None:
    """A line for each attempt that another one follows."""
    with FILE.open("a") as file:
        file.write(f"{record.pipeline} tries again after {record.delay} s\n")
