"""Files that pipelines load and save: in the project, and wherever fsspec reaches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fp_events import Project, RunFailed
from tests.endtoend.harness import write_project

TABLES = """
import pandas as pd
from hamilton.function_modifiers import load_from, save_to, source, value


@load_from.csv(path=source("rows_file"), inject_="rows")
@save_to.csv(path=source("csv_file"), index=value(False), output_name_="saved_csv")
def doubled(rows: pd.DataFrame) -> pd.DataFrame:
    return rows * 2


@save_to.parquet(path=source("parquet_file"), engine=value("pyarrow"), output_name_="saved_parquet")
def tripled(doubled: pd.DataFrame) -> pd.DataFrame:
    return doubled + doubled // 2


@save_to.json(path=source("json_file"), output_name_="saved_json")
def total(tripled: pd.DataFrame) -> dict:
    return {"level": int(tripled["level"].sum())}


@load_from.parquet(path=source("parquet_file"), engine=value("pyarrow"), inject_="table")
@load_from.json(path=source("json_file"), inject_="sums")
def read_again(table: pd.DataFrame, sums: dict) -> list:
    return [table["level"].tolist(), sums]
"""

FILES = {
    "conf/project.yml": "name: plant\n",
    "pipelines/tables.py": TABLES,
    "data/rows.csv": "level\n1\n2\n",
}


def paths(base: str) -> dict[str, str]:
    """Inputs that name files below `base`."""
    return {
        "csv_file": f"{base}out/doubled.csv",
        "parquet_file": f"{base}out/tripled.parquet",
        "json_file": f"{base}out/total.json",
    }


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    write_project(tmp_path / "plant", FILES)
    # Whatever is relative is so to the project, not to where the process happens to be.
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with Project.load(tmp_path / "plant") as loaded:
        yield loaded


SAVED = ["saved_csv", "saved_parquet", "saved_json"]


@pytest.mark.parametrize("executor", ["threadpool", "processpool"])
def test_relative_paths_are_in_the_project(project: Project, tmp_path: Path, executor: str) -> None:
    """Loaded and saved there, folders made where they are missing; nothing in the working directory."""
    given = {"rows_file": "data/rows.csv", **paths("made/")}
    facts = project.run("tables", inputs=given, final_vars=SAVED, executor=executor)
    again = project.run("tables", inputs=given, final_vars=["read_again"], executor=executor)

    made = tmp_path / "plant/made/out"
    assert "level\n2\n4\n" == (made / "doubled.csv").read_text()
    assert {"level": 9} == json.loads((made / "total.json").read_text())
    assert {"read_again": [[3, 6], {"level": 9}]} == again
    assert str(made / "doubled.csv") == facts["saved_csv"]["file_metadata"]["path"]
    assert [] == [*(tmp_path / "elsewhere").iterdir()]


def test_urls_of_another_filesystem(project: Project, s3: Any) -> None:
    """Over S3, by savers and loaders that know local files alone, too; facts name the URL."""
    s3.pipe("plants/rows.csv", b"level\n10\n")
    given = {"rows_file": "s3://plants/rows.csv", **paths("s3://plants/made/")}
    facts = project.run("tables", inputs=given, final_vars=SAVED)
    again = project.run("tables", inputs=given, final_vars=["read_again"])

    assert b"level\n20\n" == s3.cat_file("plants/made/out/doubled.csv")
    assert {"level": 30} == json.loads(s3.cat_file("plants/made/out/total.json"))
    assert {"read_again": [[30], {"level": 30}]} == again
    assert ["s3://plants/made/out/total.json", "s3"] == [
        facts["saved_json"]["file_metadata"][name] for name in ("path", "scheme")
    ]


def test_a_remote_project_has_its_data_beside_its_code(
    s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths of a project on S3 are on S3: what is saved is not in the copy of its code."""
    monkeypatch.setenv("FP_EVENTS_HOME", str(tmp_path))
    s3.pipe({f"plants/far/{name}": text.encode() for name, text in FILES.items()})
    with Project.load("s3://plants/far") as project:
        project.run("tables", inputs={"rows_file": "data/rows.csv", **paths("data/")}, final_vars=SAVED)

    assert b"level\n2\n4\n" == s3.cat_file("plants/far/data/out/doubled.csv")


def test_a_file_that_is_missing(project: Project) -> None:
    """The node that loads it is named, and where it was looked for."""
    with pytest.raises(RunFailed, match=r"node doubled.load_data.rows: FileNotFoundError: .*plant/data/none.csv"):
        project.run("tables", inputs={"rows_file": "data/none.csv", **paths("made/")}, final_vars=["doubled"])
    with pytest.raises(RunFailed, match=r"memory://none\.csv: there is no such file or folder; mend the URL"):
        project.run("tables", inputs={"rows_file": "memory://none.csv", **paths("made/")}, final_vars=["doubled"])


def test_a_file_that_fails_is_not_written(project: Project, tmp_path: Path) -> None:
    """A saver that raises leaves nothing at a URL."""
    import fsspec  # type: ignore[import-untyped]  # it ships no types

    write_project(
        tmp_path / "plant",
        {
            "pipelines/bad.py": "from hamilton.function_modifiers import save_to\n\n\n"
            "@save_to.json(path='memory://bad/out.json')\ndef total() -> dict:\n    return {'a': object()}\n"
        },
    )
    project.reload()
    with pytest.raises(RunFailed, match="not JSON serializable"):
        project.run("bad")
    assert not fsspec.filesystem("memory").exists("/bad/out.json")


def test_where_the_project_is_does_not_change_its_version(tmp_path: Path) -> None:
    """The same code in another folder is the same version; another path in the code is another one."""
    from fp_events import app, config

    versions = []
    text = "from hamilton.function_modifiers import load_from\n\n\n@load_from.json(path='{}')\ndef n(d: dict) -> dict:\n    return d\n"
    for folder, path in (("a", "data/x.json"), ("b", "data/x.json"), ("c", "data/y.json")):
        files = {"conf/project.yml": "name: plant\n", "pipelines/p.py": text.format(path)}
        loaded = config.load(write_project(tmp_path / folder, files), environ={})
        versions.append(app.catalogue(loaded).plan(loaded.pipelines["p"]).ref.version)

    assert (versions[0], True) == (versions[1], versions[0] != versions[2])


def test_loaders_and_savers_of_ones_own(tmp_path: Path) -> None:
    """Functions with `@dataloader` and `@datasaver`; the latter are outputs by themselves."""
    files = {
        "conf/project.yml": "name: plant\n",
        "conf/pipelines/own.yml": "outputs: [{node: total, topic: totals}]\n",
        "pipelines/own.py": """
from pathlib import Path

from hamilton.function_modifiers import dataloader, datasaver

HERE = Path(__file__).parents[1]


@dataloader()
def numbers() -> tuple[list, dict]:
    return [1, 2, 3], {"from": "here"}


def total(numbers: list) -> int:
    return sum(numbers)


@datasaver()
def kept(total: int) -> dict:
    (HERE / "total.txt").write_text(str(total))
    return {"file": "total.txt"}
""",
    }
    with Project.load(write_project(tmp_path, files)) as project:
        assert {"total": 6, "kept": {"file": "total.txt"}} == project.run("own")

    assert "6" == (tmp_path / "total.txt").read_text()
