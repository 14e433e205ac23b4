"""A PostgreSQL of one's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import free_port, require_program


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A running server, as SQLAlchemy's URL of its database."""
    # Debian keeps its programs out of everybody's PATH.
    beside = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    initdb = shutil.which("initdb", path=os.pathsep.join(map(str, reversed(beside)))) or require_program("initdb")
    control = str(Path(initdb).with_name("pg_ctl"))
    # It refuses to run as root.
    user = "postgres" if os.getuid() == 0 else None
    folder = tempfile.mkdtemp(prefix="postgres-", dir="/tmp")
    if user:
        shutil.chown(folder, user)
    port = free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"

    def run(*command: str) -> None:
        subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    try:
        run(initdb, "-D", f"{folder}/data", "-U", "tester", "-A", "trust", "--no-sync")
        run(control, "-D", f"{folder}/data", "-w", "-o", options, "-l", f"{folder}/log", "start")
        try:
            yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
        finally:
            run(control, "-D", f"{folder}/data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
