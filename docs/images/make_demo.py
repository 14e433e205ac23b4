"""Draws demo.svg: plays the demonstration for some seconds and keeps its last screen.

python docs/images/make_demo.py
"""

from __future__ import annotations

import asyncio
import io
import re
import tempfile
from pathlib import Path

from rich.console import Console

from fp_events.cli import demo
from fp_events.cli.demo_daemon import serving
from fp_events.cli.demo_figures import Figures
from fp_events.cli.demo_screen import screen
from fp_events.cli.sample import copy_sample

SECONDS = 40
TARGET = Path(__file__).with_name("demo.svg")


def play(folder: Path) -> Figures:
    """What a visitor has seen after `SECONDS`."""
    copy_sample(folder)
    seen: list[Figures] = []
    with serving(folder) as child:
        asyncio.run(demo._show(folder, child, seen, seconds=SECONDS, rate=20, live=False))
    return seen[0]


def draw(figures: Figures) -> str:
    """The screen as SVG that loads nothing from elsewhere."""
    console = Console(record=True, width=92, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    console.print(screen(figures, SECONDS, SECONDS))
    svg = console.export_svg(title="make demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.S)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        TARGET.write_text(draw(play(Path(folder))), encoding="utf-8")
    print(f"made {TARGET.name}, {TARGET.stat().st_size} bytes")
