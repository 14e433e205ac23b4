"""Projects that are not folders of this machine."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from fp_events import Project
from fp_events.domain.errors import ConfigError, StorageError, UsageError
from fp_events.filesystems import snapshots, without_credentials
from tests.cli.conftest import call

FILES = {
    "conf/project.yml": "mqtt: {base_topic: plants/north}\n",
    "conf/pipelines/tank.yml": "params: {factor: 2}\n",
    "pipelines/tank.py": "import helpers\n\n\ndef level(mm: float, factor: int) -> float:\n    return helpers.times(mm, factor)\n",
    "helpers.py": "def times(a: float, b: float) -> float:\n    return a * b\n",
    "data/large.bin": "0" * 1000,
    ".git/config": "[core]\n",
}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where remote projects keep their copies and their state."""
    monkeypatch.setenv("FP_EVENTS_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's filesystem in memory, with the project at /plant."""
    import fsspec  # type: ignore[import-untyped]  # it ships no types

    found = fsspec.filesystem("memory")
    found.pipe({f"/plant/{name}": text.encode() for name, text in FILES.items()})
    yield found
    found.rm("/", recursive=True)


def zipped(path: Path, files: Mapping[str, str], folder: str = "") -> Path:
    """An archive of the files."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(folder + name, text)
    return path


def level_of(location: str | Path) -> tuple[str, float]:
    """The project's name, and what its pipeline gives."""
    with Project.load(location) as project:
        return project.name, project.run("tank", inputs={"mm": 21.0})["level"]


def test_a_project_in_memory(memory: Any, home: Path) -> None:
    """It is copied read-only, without data and hidden folders; what it writes goes to its own folder."""
    with Project.load("memory://plant") as project:
        assert {"level": 42.0} == project.run("tank", inputs={"mm": 21.0})
        config = project.config

    copied = {path.relative_to(config.root).as_posix() for path in Path(config.root).rglob("*") if path.is_file()}
    assert {name for name in FILES if not name.startswith(("data", ".git"))} == copied
    assert 0o444 == stat.S_IMODE(Path(config.root, "helpers.py").stat().st_mode)
    assert ("plant", True, "memory://plant") == (config.name, config.remote, config.shown)
    assert config.ledger_file is not None
    assert config.ledger_file.is_relative_to(home)
    assert not config.ledger_file.is_relative_to(config.root)


def test_a_reload_looks_again(memory: Any) -> None:
    """The same content is the same copy, other content another one."""
    with Project.load("memory://plant") as project, Project.load("memory://plant/") as other:
        before = project.config.root
        assert before == other.config.root
        memory.pipe("/plant/helpers.py", b"def times(a, b):\n    return a + b\n")
        assert {"level": 23.0} == project.run("tank", inputs={"mm": 21.0}, reload=True)
        assert before != project.config.root
        assert {"level": 42.0} == other.run("tank", inputs={"mm": 21.0})


def test_several_at_once_share_a_copy(tmp_path: Path, home: Path) -> None:
    """Whoever is first makes it; nothing half-made stays."""
    path = zipped(tmp_path / "north.zip", FILES)
    with ThreadPoolExecutor(8) as threads:
        found = set(threads.map(lambda _: str(snapshots.take(str(path), home).folder), range(16)))

    assert 1 == len(found)
    assert 1 == len([*(home / "snapshots").iterdir()])


def test_worker_processes_read_the_same_copy(memory: Any) -> None:
    """A filesystem that only this process has is no hindrance to others."""
    with Project.load("memory://plant") as project:
        assert {"level": 42.0} == project.run("tank", inputs={"mm": 21.0}, executor="processpool")


def test_archives(tmp_path: Path) -> None:
    """As a path, as fsspec writes them, with everything in one folder, and as a folder in them."""
    plain, nested = zipped(tmp_path / "north.zip", FILES), zipped(tmp_path / "south.zip", FILES, "south-main/")

    assert [("north", 42.0)] * 3 == [level_of(each) for each in (plain, f"zip://*::{plain}", f"zip://::file://{plain}")]
    assert ("south", 42.0) == level_of(nested)
    assert ("south-main", 42.0) == level_of(f"zip://south-main::{nested}")


def test_an_archive_that_is_replaced(tmp_path: Path) -> None:
    """A reload reads the new one."""
    path = zipped(tmp_path / "north.zip", FILES)
    with Project.load(path) as project:
        zipped(path, {**FILES, "conf/pipelines/tank.yml": "params: {factor: 3}\n"})
        assert {"level": 63.0} == project.run("tank", inputs={"mm": 21.0}, reload=True)


def test_s3(s3: Any) -> None:
    """A bucket's folder, over S3's protocol."""
    s3.pipe({f"plants/north/{name}": text.encode() for name, text in FILES.items()})
    with Project.load("s3://plants/north") as project:
        assert {"level": 42.0} == project.run("tank", inputs={"mm": 21.0})
        s3.pipe("plants/north/conf/pipelines/tank.yml", b"params: {factor: 3}\n")
        assert {"level": 63.0} == project.run("tank", inputs={"mm": 21.0}, reload=True)
    with pytest.raises(StorageError, match=r"^s3://plants/south: "):
        Project.load("s3://plants/south")


def test_an_archive_on_s3(s3: Any, tmp_path: Path) -> None:
    """Named by its URL alone."""
    s3.put(str(zipped(tmp_path / "east.zip", FILES)), "plants/east.zip")

    assert ("east", 42.0) == level_of("s3://plants/east.zip")


def test_an_archive_on_a_web_server(tmp_path: Path) -> None:
    """Also one that gives no parts of a file, and that asks for a password, which is shown nowhere."""
    zipped(tmp_path / "west.zip", FILES)
    asked: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.headers.get("Authorization", ""))
            super().do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        base = f"http://someone:hush@127.0.0.1:{server.server_port}"
        assert ("west", 42.0) == level_of(f"{base}/west.zip")
        with pytest.raises(
            StorageError, match=r"^http://\*\*\*@127.*none\.zip: there is no such file or folder"
        ) as refused:
            Project.load(f"{base}/none.zip")
        server.shutdown()

    assert "hush" not in repr(refused.value)
    assert any(text.startswith("Basic ") for text in asked)


def test_a_repository(github: dict[str, bytes]) -> None:
    """A repository, or a folder of one, at a branch."""
    github.update({name: text.encode() for name, text in FILES.items()})
    github.update({f"sites/west/{name}": text.encode() for name, text in FILES.items()})

    assert ("plants", 42.0) == level_of("github://someone:plants@main")
    assert ("west", 42.0) == level_of("github://someone:plants@main/sites/west")


@pytest.mark.parametrize("name", ["../outside.py", "pipelines/../../outside.py", "pipelines/a\\..\\outside.py"])
def test_a_name_that_leads_out_is_refused(tmp_path: Path, home: Path, name: str) -> None:
    """And nothing of the archive stays."""
    path = zipped(tmp_path / "evil.zip", {**FILES, name: "x = 1\n"})

    with pytest.raises(StorageError, match="which leads out of it"):
        Project.load(path)
    assert [] == [
        file for file in tmp_path.rglob("*") if file.name.endswith("outside.py") or file.name.startswith(".new")
    ]
    assert home.exists()


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By bytes, and by files; an archive that unpacks to more than it says counts as it unpacks."""
    path = zipped(tmp_path / "large.zip", {**FILES, "notes.txt": "0" * 3000})
    monkeypatch.setattr(snapshots, "MOST_BYTES", 2000)
    with pytest.raises(StorageError, match="holds more than"):
        Project.load(path)
    monkeypatch.setattr(snapshots, "MOST_BYTES", 1 << 20)
    monkeypatch.setattr(snapshots, "MOST_FILES", 3)
    with pytest.raises(StorageError, match="holds more than 3 files"):
        Project.load(path)


def test_what_is_no_project_is_refused(memory: Any, tmp_path: Path) -> None:
    """One sentence each, which says where."""
    memory.pipe("/empty/readme.txt", b"")
    for location, told in (
        ("memory://empty", "memory://empty: it is no project: it has neither a folder conf nor a folder pipelines"),
        ("memory://nowhere", "memory://nowhere: "),
        (tmp_path / "missing.zip", f"{tmp_path}/missing.zip: there is no such file or folder; mend the URL"),
        ("carrier-pigeon://home", "carrier-pigeon://home: it cannot be opened (ValueError: Protocol not known"),
    ):
        with pytest.raises(StorageError) as refused:
            Project.load(location)
        assert str(refused.value).startswith(told)


def test_credentials_are_shown_nowhere() -> None:
    """Neither in what is shown of a URL nor in errors, whatever the library says."""
    url = "zip://::https://someone:hush-hush@127.0.0.1:1/plant.zip?signature=tell-none"
    with pytest.raises(StorageError) as refused:
        Project.load(url)
    told = f"{refused.value!r} {refused.value} {refused.value.__cause__} {without_credentials(url)}"

    assert ("hush-hush" in told, "tell-none" in told, "someone" in told) == (False, False, False)
    assert "github://o:r@main/x" == without_credentials("github://o:r@main/x")


def test_a_remote_project_is_only_read(memory: Any, tmp_path: Path) -> None:
    """What would change it says so."""
    path = zipped(tmp_path / "north.zip", FILES)
    ended = call(["-p", str(path), "new", "other"], tmp_path)
    assert 64 == ended.code
    assert "is no folder of this machine, and is only read" in ended.err
    with Project.load("memory://plant") as project, pytest.raises(UsageError, match="is no folder of this machine"):
        project.pipelines.import_(tmp_path)


def test_the_program_takes_a_location(tmp_path: Path, home: Path) -> None:
    """As a folder; it says where the copy and the state are."""
    path = zipped(tmp_path / "north.zip", FILES)
    ended = call(["-p", str(path), "run", "tank", "-i", "mm=21"], tmp_path)

    assert (0, "level = 42\n") == (ended.code, ended.out)
    assert f"{path} is read from its copy {home}{os.sep}north-" in ended.err
    assert "what is written goes to" in ended.err


def test_sqlite_of_a_remote_project_needs_a_place(memory: Any) -> None:
    """A database cannot be in a copy that is only read."""
    memory.pipe(
        "/plant/pipelines/stored.py",
        b"import pandas as pd\nfrom hamilton.function_modifiers import save_to\n\n\n"
        b"@save_to.sql(table_name='t', db_connection='sqlite:///data/t.db')\n"
        b"def table() -> pd.DataFrame:\n    return pd.DataFrame({'a': [1]})\n",
    )
    with Project.load("memory://plant") as project, pytest.raises(Exception, match="give an absolute path"):
        project.run("stored")


def test_settings_of_a_remote_project_have_their_places(memory: Any) -> None:
    """An error names the file in the project, as for a folder."""
    memory.pipe("/plant/conf/project.yml", b"mqtt: {prot: 5}\n")
    with pytest.raises(ConfigError, match=r"^conf/project.yml:1: "):
        Project.load("memory://plant")
