"""`make faults`: every row of the matrix in docs/delivery.md, done on this machine; a report of what was found.

python -m faults [--short] [--rows 1,9,random] [--times N] [--seed N] [--jobs N] [--report FOLDER]
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import rows
from .report import last_line, write
from .row import ROWS, Campaign, Result, Row, order


async def run(campaign: Campaign, chosen: Sequence[Row], jobs: int) -> list[Result]:
    """Do the rows, so many at a time, and tell of each."""
    gate = asyncio.Semaphore(jobs)
    results: list[Result] = []

    async def one(row: Row) -> None:
        async with gate:
            result = await campaign.run(row)
        results.append(result)
        found = "; ".join(text for text in (result.figure, last_line(result.note)) if text)
        print(f"{result.number:>6}  {result.verdict:<7} {result.took:6.1f} s  {result.fault}: {found}", flush=True)

    await asyncio.gather(*(one(row) for row in chosen))
    return results


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m faults", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--short", action="store_true", help="each row a few times: 90 seconds in all")
    parser.add_argument("--rows", help="numbers with commas between them; all without")
    parser.add_argument("--times", type=int, default=0, help="how often each fault is done")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="to do the same again")
    parser.add_argument("--jobs", type=int, default=0, help="rows at a time (default: 6 for --short, else 2)")
    parser.add_argument("--report", type=Path, default=Path("build"), help="folder of faults.md and faults.json")
    given = parser.parse_args()
    numbers = sorted(given.rows.split(",") if given.rows else ROWS, key=order)
    unknown = [number for number in numbers if number not in ROWS]
    if unknown:
        parser.error(f"there is no row {', '.join(unknown)}; there are {', '.join(sorted(ROWS, key=order))}")
    print(f"seed {given.seed}, {len(numbers)} rows of {rows.__name__}", flush=True)
    # As Ctrl-C: daemons, brokers and file systems are put away.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    started = time.monotonic()
    campaign = Campaign(given.seed, short=given.short, wanted=given.times)
    chosen = [ROWS[number] for number in numbers]
    results = asyncio.run(run(campaign, chosen, given.jobs or (6 if given.short else 2)))
    seconds = time.monotonic() - started
    for path in write(given.report, results, seed=given.seed, short=given.short, seconds=seconds):
        print(f"written to {path}")
    broken = [result.number for result in results if result.verdict == "BROKEN"]
    print(f"{'BROKEN: ' + ', '.join(broken) if broken else 'everything held'}, {seconds:.0f} s, seed {given.seed}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
