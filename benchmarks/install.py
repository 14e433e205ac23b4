"""Peers, each in a place of its own outside the project: `python -m benchmarks.install`.

Nothing of them enters the project's environment or lock files. What cannot be installed is noted and reported in the
table.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

PEERS = Path(__file__).parent / "peers"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fp-events-bench"
#: Seconds for one installation.
PATIENCE = 900
#: What is installed, and for whom it is written there.
WHAT = {
    "node_red": "Node-RED 5 and Node.js 22, about 250 MB, with npm",
    "faststream": "FastStream 0.7 with MQTT, about 30 MB, with pip",
    "flowerpower": "flowerpower-mqtt 0.2 and FlowerPower 0.20, about 600 MB, with pip",
}


def missing(name: str) -> str:
    """Why a peer cannot be measured; empty if it can."""
    if (CACHE / name / ".ready").exists() and (CACHE / name / ".ready").read_text() == _wanted(name):
        return ""
    failed = CACHE / f"{name}.failed"
    return f"not installed: {failed.read_text()}" if failed.exists() else "not installed; `make bench` does it"


def python_of(name: str) -> Path:
    """The interpreter of a peer's environment."""
    return CACHE / name / "bin" / "python"


def _wanted(name: str) -> str:
    source = PEERS / "node_red/package.json" if name == "node_red" else PEERS / f"{name}.txt"
    return source.read_text()


def _commands(name: str) -> Sequence[Sequence[str | Path]]:
    place = CACHE / name
    if name == "node_red":
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is not here; install Node.js (apt: npm, brew: node)")
        return [[npm, "install", "--prefix", place, "--no-audit", "--no-fund", "--loglevel=error"]]
    pip: list[str | Path] = [
        python_of(name),
        "-m",
        "pip",
        "--disable-pip-version-check",
        "install",
        "--quiet",
        "--quiet",
    ]
    return [[sys.executable, "-m", "venv", place], [*pip, "-r", PEERS / f"{name}.txt"]]


def install(name: str) -> None:
    """Install one. Raises RuntimeError, with the reason in one line."""
    place = CACHE / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    if name == "node_red":
        shutil.copy(PEERS / "node_red/package.json", place)
    for command in _commands(name):
        words = ["nice", *(str(word) for word in command)]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=place)
        except subprocess.TimeoutExpired as error:
            raise RuntimeError(f"not done within {PATIENCE} s") from error
        if done.returncode:
            lines = (done.stderr or done.stdout).strip().splitlines() or ["no reason given"]
            raise RuntimeError(lines[-1][:200])
    (place / ".ready").write_text(_wanted(name))


def main() -> None:
    """Install what is not there."""
    for name, what in WHAT.items():
        if not missing(name):
            continue
        print(f"Installing {what}, into {CACHE / name}", flush=True)
        failed = CACHE / f"{name}.failed"
        try:
            install(name)
            failed.unlink(missing_ok=True)
        except RuntimeError as error:
            failed.write_text(str(error))
            print(f"{name} could not be installed: {error}; the table will say so")


if __name__ == "__main__":
    main()
