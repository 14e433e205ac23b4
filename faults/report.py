"""The matrix, filled in: Markdown for people, JSON for programs."""

from __future__ import annotations

import json
import platform
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from fp_events import __version__
from tests.support import require_program

from .row import Result, order


def write(folder: Path, results: Sequence[Result], *, seed: int, short: bool, seconds: float) -> tuple[Path, Path]:
    """Both files; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    ordered = sorted(results, key=lambda result: order(result.number))
    facts = {
        "seed": seed,
        "campaign": "short" if short else "full",
        "seconds": round(seconds),
        "version": __version__,
        "broker": _broker(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "verdicts": dict(Counter(result.verdict for result in ordered)),
    }
    markdown, data = folder / "faults.md", folder / "faults.json"
    markdown.write_text(_markdown(ordered, facts))
    data.write_text(json.dumps({**facts, "rows": [asdict(result) for result in ordered]}, indent=2) + "\n")
    return markdown, data


def _markdown(results: Sequence[Result], facts: Mapping[str, object]) -> str:
    lines = [
        "# Faults",
        "",
        *(f"- {name}: {value}" for name, value in facts.items() if name != "verdicts"),
        "",
        "Verdicts: "
        + ", ".join(f"{count} {verdict}" for verdict, count in Counter(r.verdict for r in results).items()),
        "",
        "| # | fault, and what was done | asked for | verdict | N | found | s |",
        "|---|---|---|---|---|---|---|",
    ]
    for result in results:
        found = "; ".join(text for text in (result.figure, last_line(result.note)) if text)
        fault = f"{result.fault}. {result.how}".removesuffix(". ")
        cells = (result.number, fault, result.asked, result.verdict, result.n or "", found, result.took)
        lines.append("| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |")
    broken = [result for result in results if result.verdict == "BROKEN" and "\n" in result.note]
    for result in broken:
        lines += ["", f"## {result.number}: {result.fault}", "", "```", result.note.rstrip(), "```"]
    return "\n".join(lines) + "\n"


def last_line(note: str) -> str:
    """What a traceback comes to; a note of one line as it is."""
    return note.strip().splitlines()[-1] if note.strip() else ""


def _broker() -> str:
    said = subprocess.run([require_program("mosquitto"), "-h"], capture_output=True, text=True, check=False).stdout
    return said.splitlines()[0] if said else "mosquitto"
