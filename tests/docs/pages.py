"""What the pages hold: code blocks, commands, headings, links."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
NAMES = [page.name for page in PAGES]

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    language: str
    text: str

    @property
    def file(self) -> str | None:
        """The project's file that its first line names: ``# conf/project.yml``."""
        found = re.match(r"# ((?:conf|pipelines|hooks|tests)/\S+)\n", self.text)
        return found[1] if found else None


def blocks(page: Path, language: str | None = None) -> list[Block]:
    """The page's fenced blocks, all or those of one language."""
    found = [Block(*match) for match in _BLOCK.findall(page.read_text(encoding="utf-8"))]
    return [block for block in found if language in (None, block.language)]


def project(page: Path) -> dict[str, str]:
    """The files that the page's blocks name; together they are a project."""
    return {block.file: block.text for block in blocks(page) if block.file}


def commands(page: Path) -> list[str]:
    """Everything written that begins with ``fp-events``: in text as `code`, and on lines of shell blocks."""
    text = page.read_text(encoding="utf-8")
    prose = _BLOCK.sub("", text)
    found = re.findall(r"`(fp-events [^`]+)`", prose)
    for block in blocks(page):
        found += re.findall(r"^(?:\$ )?(fp-events .*)", block.text, re.M) if block.language in ("sh", "console") else []
    return found


def anchors(page: Path) -> set[str]:
    """Headings as GitHub makes links of them."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", prose, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[str, str]]:
    """Relative links: path (empty for the page itself) and anchor (empty for none)."""
    prose = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    parts = [target.partition("#") for target in found if not re.match(r"\w+:", target)]
    return [(path, anchor) for path, _, anchor in parts]
