"""How the cost of a message grows: `python -m benchmarks.curves [NAME...]`.

Names: triggers, nodes, ledger, payload, keys, pipelines; without one, all of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks.processes import end_on_signals

from . import CURVES, SIZES
from .points import ratios, shown


def main() -> None:
    """Measure, print, write."""
    end_on_signals()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*CURVES, []], metavar="NAME")
    parser.add_argument(
        "--sizes", type=lambda text: [int(size) for size in text.split(",")], help="such as 1,100,10000"
    )
    parser.add_argument("--messages", type=int, default=20_000, help="at each size")
    parser.add_argument("--json", type=Path, default=Path("build/curves.json"))
    given = parser.parse_args()
    document = {}
    for name in given.names or CURVES:
        print(f"{name}:", file=sys.stderr)
        try:
            points = CURVES[name](given.sizes or SIZES[name], given.messages)
        except RuntimeError as error:
            print(f"{name}: {error}", flush=True)
            continue
        print("\n" + "\n".join(shown(name, points)) + "\n", flush=True)
        document[name] = [
            {"size": point.size, "cpu_us": point.cost_us, "ratio": ratio, **point.more}
            for point, ratio in zip(points, ratios(points).values(), strict=False)
        ]
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {given.json}")


if __name__ == "__main__":
    main()
