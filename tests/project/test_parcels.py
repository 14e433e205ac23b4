"""Pipelines that go from one project to another."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from fp_events import Project
from fp_events.app.parcels import pack
from fp_events.cli.main import main
from fp_events.domain.errors import PipelineNotFound, UsageError
from tests.endtoend.harness import write_project

FILES = {
    "conf/project.yml": "name: north\nrun: {max_retries: 3}\n",
    "conf/pipelines/tank.yml": "params: {factor: 2}\nrun: {on_success: hooks.notify:told}\n",
    "conf/env/prod/pipelines/tank.yml": "params: {factor: 3}\n",
    "conf/pipelines/other.yml": "params: {}\n",
    "pipelines/tank.py": "import math\nimport units.metric as metric\nfrom helpers import twice\n\n\n"
    "def level(mm: float, factor: int) -> float:\n    return twice(metric.metres(mm)) * factor * math.pi / math.pi\n",
    "pipelines/other.py": "def one() -> int:\n    return 1\n",
    "helpers.py": "from units import base\n\n\ndef twice(x: float) -> float:\n    return base.TWO * x\n",
    "units/__init__.py": "",
    "units/base.py": "TWO = 2\n",
    "units/metric.py": "from .scale import KILO\n\n\ndef metres(mm: float) -> float:\n    return mm / KILO\n",
    "units/scale.py": "KILO = 1000\n",
    "units/unused.py": "raise RuntimeError\n",
    "hooks/notify.py": "def told(record: object) -> None:\n    pass\n",
    "unused.py": "raise RuntimeError\n",
}
NEEDED = {name for name in FILES if not name.endswith(("other.yml", "other.py", "unused.py", "project.yml"))}


def files_in(folder: Path) -> set[str]:
    """What is there."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def written(folder: Path, files: Mapping[str, str] = FILES) -> Project:
    """A project of the files."""
    return Project.load(write_project(folder, files))


def test_a_pipeline_goes_with_what_it_needs(tmp_path: Path) -> None:
    """Modules it imports, packages around them, settings of environments, hooks; nothing else. There it runs."""
    with written(tmp_path / "north") as north:
        north.pipelines.export("tank", tmp_path / "parcel")
    with written(tmp_path / "south", {"conf/project.yml": "name: south\n"}) as south:
        south.pipelines.import_(tmp_path / "parcel")
        south.reload()
        assert {"level": 4.0} == south.run("tank", inputs={"mm": 1000.0})

    assert NEEDED == files_in(tmp_path / "parcel")
    with pytest.raises(PipelineNotFound, match="did you mean 'tank'"):
        pack(tmp_path / "north", "tnak")


@pytest.mark.parametrize("target", ["parcel.zip", "memory://parcels/tank", "s3://plants/parcels", "s3://plants/p.zip"])
def test_it_goes_through_any_filesystem(tmp_path: Path, s3: Any, target: str) -> None:
    """There and back, under another name."""
    del s3
    url = str(tmp_path / target) if "://" not in target else target
    with written(tmp_path / "north") as north:
        north.pipelines.export("tank", url, overwrite=True)
    with written(tmp_path / "south", {"conf/project.yml": "name: south\n"}) as south:
        south.pipelines.import_(url, name="basin")
        south.reload()
        assert ["basin"] == south.pipelines.list()
        assert {"level": 4.0} == south.run("basin", inputs={"mm": 1000.0})


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    """Other files of these names are named, and nothing at all is written; the same files are no conflict."""
    mine = {"conf/project.yml": "name: south\n", "helpers.py": "mine = 1\n", "units/base.py": FILES["units/base.py"]}
    with written(tmp_path / "north") as north:
        north.pipelines.export("tank", tmp_path / "parcel.zip")
        with pytest.raises(UsageError, match=r"other files are there already: parcel\.zip; .* export to another"):
            north.pipelines.export("tank", tmp_path / "parcel.zip")
    with written(tmp_path / "south", mine) as south:
        with pytest.raises(UsageError, match=r"other files are there already: helpers\.py; .* another --name"):
            south.pipelines.import_(tmp_path / "parcel.zip")
        assert set(mine) == files_in(tmp_path / "south")
        south.pipelines.import_(tmp_path / "parcel.zip", overwrite=True)
        # The same once more is no conflict.
        south.pipelines.import_(tmp_path / "parcel.zip")

    assert {*mine, *NEEDED} == files_in(tmp_path / "south")
    assert FILES["helpers.py"] == (tmp_path / "south/helpers.py").read_text()


def test_the_program_does_so_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the paths on stdout, and one sentence for what is wrong."""
    write_project(tmp_path / "north", FILES)
    write_project(tmp_path / "south", {"conf/project.yml": "name: south\n"})
    monkeypatch.chdir(tmp_path / "south")

    assert 0 == main(["--project", "../north", "pipelines", "export", "tank", "../tank.zip"])
    assert f"{tmp_path}/tank.zip\n" == capsys.readouterr().out
    assert 0 == main(["pipelines", "import", "../tank.zip"])
    assert NEEDED == set(capsys.readouterr().out.split())
    assert 64 == main(["pipelines", "import", "../north"])
    assert "../north has several pipelines; say which: other, tank" in capsys.readouterr().err
    assert 64 == main(["pipelines", "import", "../north", "--pipeline", "other", "--name", "an-other"])
    assert "'an-other' is no name for a pipeline" in capsys.readouterr().err
    assert 74 == main(["pipelines", "import", "../nowhere.zip"])


def test_a_module_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """What it needs is not known, so that it does not go."""
    write_project(tmp_path, {**FILES, "helpers.py": "def twice(:\n"})
    with pytest.raises(UsageError, match=r"^helpers\.py:1: it is no Python, so that what it needs is not known"):
        pack(tmp_path, "tank")


def test_an_archive_holds_what_any_tool_can_read(tmp_path: Path) -> None:
    """A zip with the project's layout."""
    with written(tmp_path / "north") as north:
        north.pipelines.export("tank", tmp_path / "tank.zip")
    with zipfile.ZipFile(tmp_path / "tank.zip") as archive:
        assert NEEDED == set(archive.namelist())
