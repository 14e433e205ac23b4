"""The library of shim.c, compiled where it is wanted."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from .row import Skipped

SOURCE = Path(__file__).with_name("shim.c")


def shim(folder: Path) -> Path:
    """Compile it into `folder`, for LD_PRELOAD. Raises Skipped."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        raise Skipped("a library under the daemon needs Linux and a C compiler: apt install gcc libc6-dev")
    library = folder / "shim.so"
    made = subprocess.run(
        [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"the C compiler cannot make a library: {made.stderr.splitlines()[:1]}")
    return library
