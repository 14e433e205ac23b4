"""Results per second as a bar chart: SVG, written by hand."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape

from .measure import Row

_BAR, _GAP, _NAMES, _WIDTH, _TOP = 20, 8, 290, 860, 56
_COLOURS = {True: "#1a7f5a", False: "#8a8f98"}


def bars(rows: Mapping[str, Row], about: str) -> str:
    """One bar for each system with a figure, longest first; green keeps its messages through kill -9."""
    found = [(row.median("per_second"), row) for row in rows.values()]
    found = sorted((pair for pair in found if not math.isnan(pair[0])), key=lambda pair: -pair[0])
    most = max((value for value, _ in found), default=1.0)
    height = _TOP + len(found) * (_BAR + _GAP) + 28
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}"',
        ' font-family="sans-serif" font-size="13" fill="#24292f">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        '<text x="12" y="22" font-size="15" font-weight="bold">',
        "Results per second: JSON in at QoS 1, five nodes, JSON out at QoS 1</text>",
        '<text x="12" y="42">Green: what was acknowledged survives kill -9. Grey: it does not.</text>',
    ]
    for place, (value, row) in enumerate(found):
        y = _TOP + place * (_BAR + _GAP)
        width = max(1.0, (_WIDTH - _NAMES - 90) * value / most)
        middle = y + _BAR * 0.72
        lines += [
            f'<text x="{_NAMES - 8}" y="{middle:.0f}" text-anchor="end">{escape(row.system.name)}</text>',
            f'<rect x="{_NAMES}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[row.system.keeps]}"/>',
            f'<text x="{_NAMES + width + 6:.0f}" y="{middle:.0f}">{value:,.0f}</text>',
        ]
    lines.append(f'<text x="12" y="{height - 10}" font-size="11" fill="#57606a">{escape(about)}</text>')
    return "\n".join([*lines, "</svg>", ""])
