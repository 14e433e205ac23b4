"""What no tracked file may hold."""

from __future__ import annotations

import re
import tomllib

import fp_events

from .tree import ROOT, texts

#: Written so that this file does not hold them itself.
INDEX = re.compile(
    "(index" + "-url|find" + "-links|trusted" + "-host|pypi" + r"\.org|python" + r"hosted\.org|npmjs" + r"\.(org|com))"
)
#: Somebody's home or workspace.
MACHINE = re.compile(r"(?<![\w.])/(home|Users|work|root|mnt|private)/\w")


def test_no_package_index_is_named() -> None:
    """Where packages come from is for the machine that installs them to say."""
    found = [name for name, text in texts().items() if INDEX.search(text)]
    assert [] == found


def test_no_path_of_a_machine_is_named() -> None:
    """A path that exists on one machine only has no place in the project."""
    found = [
        f"{name}:{number}: {line.strip()}"
        for name, text in texts().items()
        for number, line in enumerate(text.splitlines(), 1)
        if name != "tests/house/test_tree.py" and MACHINE.search(line)
    ]
    assert [] == found


def test_version_is_one() -> None:
    """The package and its metadata agree."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == fp_events.__version__


def test_changelog_has_a_place_for_what_comes() -> None:
    """Every version that was released, and what is not yet."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog


def test_links_between_documents_lead_somewhere() -> None:
    """A relative link in Markdown names a file or folder of the project."""
    broken = [
        f"{name}: {target}"
        for name, text in texts("*.md").items()
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
        if not re.match("(https?|mailto):", target) and not (ROOT / name).parent.joinpath(target).exists()
    ]
    assert [] == broken
