"""SQL databases that pipelines load from and save to."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fp_events import Project
from tests.endtoend.harness import write_project

FILES = {
    "conf/project.yml": "name: plant\n",
    "pipelines/levels.py": """
import pandas as pd
from hamilton.function_modifiers import load_from, save_to, source, value


@save_to.sql(
    table_name=value("levels"),
    db_connection=source("database"),
    if_exists=value("append"),
    index=value(False),
    output_name_="saved",
)
def levels(mm: list) -> pd.DataFrame:
    return pd.DataFrame({"mm": mm})


@load_from.sql(
    query_or_table=value("SELECT mm FROM levels ORDER BY mm DESC"), db_connection=source("database"), inject_="rows"
)
def count(rows: pd.DataFrame) -> int:
    return len(rows)


@load_from.sql(query_or_table=value("levels"), db_connection=source("database"), inject_="rows")
def highest(rows: pd.DataFrame) -> int:
    return int(rows["mm"].max())
""",
}


def both_ways(folder: Path, database: str) -> tuple[int, int]:
    """Rows after two runs, and the highest of them as it was read."""
    with Project.load(write_project(folder, FILES)) as project:
        for mm in ([3, 9], [4]):
            project.run("levels", inputs={"mm": mm, "database": database}, final_vars=["saved"])
        found = project.run("levels", inputs={"database": database}, final_vars=["highest", "count"])
    return found["count"], found["highest"]


def test_sqlite_in_the_project(tmp_path: Path) -> None:
    """Its file is relative to the project."""
    folder = tmp_path / "plant"
    (folder / "data").mkdir(parents=True)

    assert (3, 9) == both_ways(folder, "sqlite:///data/levels.db")
    with sqlite3.connect(folder / "data/levels.db") as database:
        assert [(3,), (9,), (4,)] == database.execute("SELECT mm FROM levels").fetchall()
    database.close()


def test_postgresql(tmp_path: Path, postgres: str) -> None:
    """A server's database."""
    assert (3, 9) == both_ways(tmp_path, postgres)
