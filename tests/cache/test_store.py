"""Stores of kept values: on a disk, in memory, behind a filesystem that shows half-written files."""

from __future__ import annotations

import logging
import multiprocessing
import os
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec  # type: ignore[import-untyped]  # it ships no types
import pytest

from fp_events.cache import Caches, clear, survey
from fp_events.cache.entry import Entry, pack_entry
from fp_events.cache.files import LocalFiles, RemoteFiles
from fp_events.cache.names import path_of
from fp_events.cache.store import PipelineStore
from fp_events.codecs import EncodeError, decode_exact, digest, encode_exact
from fp_events.domain.caching import MISSING

MIB = 1024**2
NONE: dict[str, type] = {}


class Codec:
    """The product's, for plain values."""

    def encode(self, value: Any, classes: Any) -> bytes:
        return encode_exact(value, classes)

    def decode(self, data: bytes, classes: Any) -> Any:
        return decode_exact(data, classes)

    def digest(self, value: Any) -> str:
        return digest(value, lambda kind: kind.__qualname__)


def opened(url: str | Path, pipeline: str = "p", max_bytes: int = 64 * MIB) -> PipelineStore:
    return Caches().store(pipeline, str(url), max_bytes, Codec())


def put(store: PipelineStore, value: Any, node: str = "n", arguments: Any = 1) -> str:
    key = store.key(node, "v", arguments)
    assert key is not None
    store.put(node, key, value, ttl=None, classes=NONE)
    return key


def get(store: PipelineStore, key: str, node: str = "n", ttl: float | None = None) -> Any:
    return store.get(node, key, ttl=ttl, classes=NONE)


@pytest.fixture(params=["folder", "file", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A store that is empty."""
    if request.param == "memory":
        yield f"memory://cache/{tmp_path.name}"
        fsspec.filesystem("memory").store.clear()
    else:
        yield str(tmp_path / "cache") if request.param == "folder" else f"file://{tmp_path}/cache"


def test_a_value_is_found_by_all_who_open_the_store(url: str) -> None:
    """With its type, and by its arguments, version and node alone."""
    key = put(opened(url), {"a": (1, 2.5)})

    other = opened(url)
    assert {"a": (1, 2.5)} == get(other, key)
    assert other.key("n", "v", 1) == key
    assert len({other.key("n", "w", 1), other.key("m", "v", 1), other.key("n", "v", 2), key}) == 4
    assert opened(url, "q").key("n", "v", 1) != key
    assert get(other, "0" * 40) is MISSING
    assert {"hits": 1, "missed": 1} == other.tally.counts()


def test_names_are_never_paths(url: str) -> None:
    """Whatever a pipeline or a node is called, its values stay in the store and are listed by that name."""
    names = ["../../x", "a/b", "..", "é%41", "x" * 300, "con", "a\nb"]
    stores = {name: opened(url, name) for name in names}
    keys = {name: put(store, name, node=name) for name, store in stores.items()}

    assert names == [get(stores[name], keys[name], node=name) for name in names]
    found = survey(url)
    assert len(names) == len(found)
    assert {name for name in names if len(name) < 100} <= {kept.node for kept in found}
    assert (1, 1) == (len(survey(url, "../../x")), clear(url, "../../x")[0])
    assert len(names) - 1 == len(survey(url))


def files_of(url: str) -> list[tuple[Any, str]]:
    """(filesystem, path) of everything in a store."""
    system, base = fsspec.core.url_to_fs(url)
    return [(system, path) for path in system.find(base)]


@pytest.mark.parametrize("cut", [0, 4, 8, 27, 28, 40, -1])
def test_a_truncated_value_is_missing(url: str, cut: int) -> None:
    """At whatever byte it ends; and it is kept anew."""
    store = opened(url)
    key = put(store, "value")
    ((system, path),) = files_of(url)
    data = system.cat_file(path)
    system.pipe_file(path, data[:cut])

    assert get(store, key) is MISSING
    assert 1 == store.tally.counts()["damaged"]
    put(store, "value")
    assert "value" == get(store, key)


def test_every_flipped_bit_is_noticed(tmp_path: Path) -> None:
    """In each byte of the file."""
    store = opened(tmp_path)
    key = put(store, ["value", 1])
    (file,) = tmp_path.rglob("*.fpc")
    data = file.read_bytes()
    for position in range(len(data)):
        file.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        assert get(store, key) is MISSING, position
    file.write_bytes(data)
    assert ["value", 1] == get(store, key)


def test_foreign_files_are_no_values(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Another node's value, another version's form, a value whose checksum is right and whose content is not."""
    store = opened(tmp_path)
    key = store.key("n", "v", 1)
    assert key is not None
    file = tmp_path / path_of("p", "n", key)
    file.parent.mkdir(parents=True)
    others = put(store, "other", node="m")
    whole = Entry(pipeline="p", node="n", key=key, created=time.time(), value=b"\xc1")
    for data in (
        b"a photograph",
        (tmp_path / path_of("p", "m", others)).read_bytes(),
        pack_entry(whole).replace(b"fpcache1", b"fpcache0"),
        pack_entry(whole),
    ):
        file.write_bytes(data)
        assert get(store, key) is MISSING
    assert 4 == store.tally.counts()["damaged"]
    assert 1 == len([each for each in caplog.records if "'n'" in each.getMessage()])


def test_a_folder_in_the_place_of_a_value_is_survived(tmp_path: Path) -> None:
    """It is neither read nor replaced."""
    store = opened(tmp_path)
    key = store.key("n", "v", 1)
    assert key is not None
    (tmp_path / path_of("p", "n", key)).mkdir(parents=True)

    assert get(store, key) is MISSING
    put(store, "value")
    assert 2 == store.tally.counts()["failed"]


def test_old_values_are_missing(tmp_path: Path) -> None:
    """A time to live goes by the one who asks; a value from a clock ahead of ours is not trusted with one."""
    store = opened(tmp_path)
    key = store.key("n", "v", 1)
    assert key is not None
    file = tmp_path / path_of("p", "n", key)
    file.parent.mkdir(parents=True)
    for age, ttl, found in ((50, 60, True), (70, 60, False), (70, None, True), (-70, 60, False), (-70, None, True)):
        entry = Entry(pipeline="p", node="n", key=key, created=time.time() - age, value=encode_exact("v", NONE))
        file.write_bytes(pack_entry(entry))
        assert found == (get(store, key, ttl=ttl) == "v")


def test_the_store_stays_below_its_bound(url: str) -> None:
    """However much is put into it; what is put in last is there."""
    store = opened(url, max_bytes=2 * MIB)
    value = os.urandom(100_000)
    for number in range(60):
        key = put(store, value, arguments=number)

    assert sum(kept.bytes for kept in survey(url)) <= 2 * MIB
    assert value == get(store, key)


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    """A value that is taken again and again outlives newer ones."""
    store = opened(tmp_path, max_bytes=2 * MIB)
    value = os.urandom(100_000)
    first = put(store, value, arguments="first")
    for number in range(60):
        put(store, value, arguments=number)
        assert value == get(store, first), number


def test_small_values_count_as_what_they_take_on_a_disk(tmp_path: Path) -> None:
    """A store of a mebibyte holds 256 files at the most."""
    store = opened(tmp_path, max_bytes=MIB)
    for number in range(400):
        put(store, number, arguments=number)
    assert len(list(tmp_path.rglob("*.fpc"))) <= 256


def test_a_value_that_is_too_large_drives_none_out(tmp_path: Path) -> None:
    """It is not kept, and counted."""
    store = opened(tmp_path, max_bytes=MIB)
    small = put(store, "small")
    large = put(store, os.urandom(MIB), node="large")

    assert ("small", MISSING) == (get(store, small), get(store, large, node="large"))
    assert 1 == store.tally.counts()["too_large"]


def test_what_cannot_be_kept_is_counted_and_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """For each node; with the type that has no form."""
    store = opened(tmp_path)
    for _ in range(3):
        assert store.key("n", "v", {"x": print}) is None
        store.put("n", "0" * 40, threading.Lock(), ttl=None, classes=NONE)

    assert {"unhashable": 3, "unencodable": 3} == store.tally.counts()
    told = [each.getMessage() for each in caplog.records]
    assert 2 == len(told)
    assert "p: cached node 'n': its inputs have no stable form (its type, or a type inside, is builtin" in told[0]
    assert "p: cached node 'n': its value cannot be kept: its type, or a type inside, is lock" in told[1]


def test_a_store_that_cannot_be_used_is_told_once_and_fails_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A file in the folder's place; an unknown kind of URL; a library that is missing."""
    (tmp_path / "file").write_text("in the way")
    for url in (str(tmp_path / "file"), "nosuch://bucket/x"):
        caplog.clear()
        store = opened(url)
        for number in range(3):
            key = put(store, "value", arguments=number)
            assert get(store, key) is MISSING
        told = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert 0 < len(told) <= 2
        assert "cannot be" in told[0].getMessage()
        assert "runs go on without it" in told[0].getMessage()
        assert 0 < store.tally.counts()["failed"]


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file that was being written goes; the old value stays."""
    store = opened(tmp_path)
    key = put(store, "old")

    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        put(store, "new")
    assert "old" == get(store, key)
    assert 1 == store.tally.counts()["failed"]
    assert [] == list(tmp_path.rglob(".*"))


def test_a_store_that_was_away_is_used_again(tmp_path: Path) -> None:
    """As soon as it is back."""
    root = tmp_path / "cache"
    root.write_text("in the way")
    store = opened(root)
    key = put(store, "value")
    root.unlink()

    put(store, "value")
    assert "value" == get(store, key)


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Values may be secret."""
    put(opened(tmp_path / "a" / "cache"), "secret")
    found = sorted((tmp_path / "a").rglob("*"))
    assert {0o700, 0o600} == {path.stat().st_mode & 0o777 for path in found}


def test_where_files_are_seen_half_written_they_get_their_name_last(tmp_path: Path) -> None:
    """A filesystem of fsspec that is no object store: nobody reads a half of a value."""
    files = RemoteFiles(fsspec.filesystem("file"), str(tmp_path))
    stop = threading.Event()
    seen: set[bytes | None] = set()

    def read() -> None:
        while not stop.is_set():
            seen.add(files.read("p/n/k.fpc"))

    reader = threading.Thread(target=read)
    reader.start()
    large = [bytes([number]) * 300_000 for number in range(1, 30)]
    for data in large:
        files.write("p/n/k.fpc", data)
    stop.set()
    reader.join()
    assert seen <= {None, *large}
    assert ["p/n/k.fpc"] == [item.path for item in files.items()]


def _work(folder: str, number: int, rounds: int) -> None:
    store = opened(folder, max_bytes=2 * MIB)
    for turn in range(rounds):
        node, arguments = f"n{turn % 3}", turn % 50
        key = store.key(node, "v", arguments)
        assert key is not None
        found = get(store, key, node=node)
        expected = [node, arguments, "x" * 20_000]
        assert found is MISSING or found == expected, (number, turn)
        store.put(node, key, expected, ttl=None, classes=NONE)
    assert "damaged" not in store.tally.counts()


def test_processes_and_threads_share_a_store(tmp_path: Path) -> None:
    """While values are read, replaced and driven out, nobody sees a wrong one, and the bound holds."""
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_work, args=(str(tmp_path), number, 300)) for number in range(2)]
    for worker in workers:
        worker.start()
    threads = [threading.Thread(target=_work, args=(str(tmp_path), number, 150)) for number in range(2)]
    for thread in threads:
        thread.start()
    clear(str(tmp_path), node="n1")
    for thread in threads:
        thread.join()
    for worker in workers:
        worker.join()

    assert [0, 0] == [worker.exitcode for worker in workers]
    assert sum(kept.bytes for kept in survey(str(tmp_path))) <= 2 * MIB * 1.15


def test_unfinished_files_of_the_dead_are_cleared_away(tmp_path: Path) -> None:
    """Once they are an hour old, by whoever looks at the store's size next."""
    store = opened(tmp_path)
    put(store, "value")
    old, new = (tmp_path / "p" / "n" / f".{name}.fpc.1-1-1.tmp" for name in ("old", "new"))
    for file in (old, new):
        file.write_bytes(b"half")
    os.utime(old, (0, time.time() - 4000))

    put(opened(tmp_path), "value")
    assert (False, True) == (old.exists(), new.exists())


def test_clear_takes_what_it_was_asked_for(tmp_path: Path) -> None:
    """By pipeline, node and age; files of others stay."""
    note = tmp_path / "p" / "n" / "note.txt"
    for pipeline in ("p", "q"):
        for node in ("n", "m"):
            put(opened(tmp_path, pipeline), "value", node=node)
    note.write_text("mine")
    old = next((tmp_path / "p" / "m").iterdir())
    os.utime(old, (time.time(), time.time() - 5000))

    assert 1 == clear(str(tmp_path), older_than=3600)[0]
    assert [("p", "n"), ("q", "m"), ("q", "n")] == [(kept.pipeline, kept.node) for kept in survey(str(tmp_path))]
    assert 1 == clear(str(tmp_path), "q", "n")[0]
    assert 2 == clear(str(tmp_path))[0]
    assert "mine" == note.read_text()
    assert [tmp_path / "p"] == list(tmp_path.iterdir())


def test_a_store_goes_along_as_plain_settings(tmp_path: Path) -> None:
    """Where a node runs in another process, it opens the store by itself."""
    store = opened(tmp_path)
    key = put(store, "value")
    data = pickle.dumps(store)

    assert len(data) < 1000
    assert "value" == get(pickle.loads(data), key)


def test_codec_errors_say_why() -> None:
    """The sentence in the log goes on with it."""
    with pytest.raises(EncodeError) as error:
        encode_exact({"a": object()}, NONE)
    assert "its type, or a type inside, is object" == error.value.what


def test_local_files_are_listed_while_others_delete(tmp_path: Path) -> None:
    """A listing passes over what is gone."""
    files = LocalFiles(tmp_path / "none")
    assert [] == list(files.items())
    files.remove("not/there.fpc")
    assert files.read("not/there.fpc") is None
