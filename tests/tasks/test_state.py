"""StateManager and TaskCache."""

from __future__ import annotations

import asyncio
import json
import logging
import multiprocessing
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from fp_events import DAG, FlowkitError, StateManager, TaskCache, task
from fp_events.domain.errors import StorageError


class Clock:
    """Seconds since the epoch, as the test has them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The wall clock that the state sees."""
    made = Clock()
    monkeypatch.setattr(time, "time", made)
    return made


@pytest.fixture(params=["memory", "file"])
def state(request: pytest.FixtureRequest, tmp_path: Path) -> StateManager:
    """One of each kind."""
    return StateManager(tmp_path / "new" / "state.json" if request.param == "file" else None)


def test_values_are_kept_by_key(state: StateManager) -> None:
    """None is one; a key without a value has a default."""
    for key, value in {
        "text": "a",
        "number": 1.5,
        "list": [1, 2],
        "nested": {"a": [None]},
        "none": None,
        "": 0,
    }.items():
        state.set(key, value)
        assert value == state.get(key, "missing")
        assert state.has(key)
    state.set("text", "b")

    assert ("b", None, "x") == (state.get("text"), state.get("other"), state.get("other", "x"))
    assert {"text", "number", "list", "nested", "none", ""} == set(state.get_all())
    assert "cached_items=6" in repr(state)


def test_values_live_as_long_as_they_should(state: StateManager, clock: Clock) -> None:
    """To the second at which their time is over."""
    state.set("short", 1, ttl=10)
    state.set("long", 2)

    clock.now += 9.9
    assert {"short": 1, "long": 2} == state.get_all()
    clock.now += 0.1
    assert {"long": 2} == state.get_all()
    assert (None, False, None) == (state.get("short"), state.has("short"), state.get_metadata("short"))
    assert ["short"] == state.invalidate_expired()
    assert [] == state.invalidate_expired()


def test_a_state_may_have_a_time_to_live_for_all(clock: Clock) -> None:
    """A value's own goes first."""
    state = StateManager(default_ttl=5)
    state.set("a", 1)
    state.set("b", 2, ttl=50)
    clock.now += 10

    assert {"b": 2} == state.get_all()


def test_values_are_invalidated(state: StateManager) -> None:
    """By key, by prefix, by pattern, and all."""
    for key in ("load:a", "load:b", "save:a", "save:b", "x"):
        state.set(key, 1)

    assert (True, False) == (state.invalidate("x"), state.delete("x"))
    assert ["load:a", "load:b"] == state.invalidate_prefix("load:")
    assert ["save:b"] == state.invalidate_pattern("*:b")
    assert {"save:a": 1} == state.get_all()
    state.clear()
    assert {} == state.get_all()


def test_values_have_metadata(state: StateManager, clock: Clock) -> None:
    """When they came, how old they are, and fields of one's own."""
    state.set("a", 1, ttl=60, metadata={"source": "api"})
    clock.now += 5

    assert {"source": "api", "timestamp": 1000.0, "age": 5.0, "ttl": 60} == state.get_metadata("a")
    assert state.get_metadata("b") is None


def test_a_file_is_read_by_the_next_one(tmp_path: Path, clock: Clock) -> None:
    """Values, deletions, and times to live go over."""
    path = tmp_path / "state.json"
    first = StateManager(path)
    first.set("a", (1, 2))
    first.set("b", 2)
    first.set("c", 3, ttl=10)
    first.delete("b")
    clock.now += 20

    assert [1, 2] == first.get("a")
    assert {"a": [1, 2]} == StateManager(str(path)).get_all()
    assert {"a", "c"} == set(json.loads(path.read_text())["cache"])


def test_two_states_share_a_file(tmp_path: Path) -> None:
    """Each sees what the other has written, and loses nothing of it."""
    one, other = StateManager(tmp_path / "s.json"), StateManager(tmp_path / "s.json")
    one.set("a", 1)
    other.set("b", 2)

    assert {"a": 1, "b": 2} == one.get_all() == other.get_all()


def _count(path: str, name: str) -> None:
    state = StateManager(path)
    for number in range(25):
        state.set(f"{name}{number}", number)


def test_processes_share_a_file(tmp_path: Path) -> None:
    """None of their values is lost."""
    path = str(tmp_path / "s.json")
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_count, args=(path, name)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert 50 == len(StateManager(path).get_all())


def test_threads_share_a_state(state: StateManager) -> None:
    """None of their values is lost."""

    def write(name: str) -> None:
        for number in range(10):
            state.set(f"{name}{number}", number)

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 40 == len(state.get_all())


@pytest.mark.parametrize(
    "content", ["{ no json }", "[1, 2]", '{"cache": {"a": 1}}', "", '{"cache": {"a": {"value": 1}}}']
)
def test_a_damaged_file_is_put_aside(tmp_path: Path, content: str, caplog: pytest.LogCaptureFixture) -> None:
    """The state is empty, the file is kept, the log says so."""
    path = tmp_path / "state.json"
    path.write_text(content)

    with caplog.at_level(logging.WARNING):
        state = StateManager(path)

    assert {} == state.get_all()
    assert content == (tmp_path / "state.json.damaged").read_text()
    assert "state.json is no state of a StateManager" in caplog.text
    state.set("a", 1)
    assert {"a": 1} == StateManager(path).get_all()


def test_a_crash_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails half-way changes nothing, in memory neither."""
    path = tmp_path / "state.json"
    state = StateManager(path)
    state.set("a", 1)

    with pytest.raises(
        FlowkitError, match=r"the value of 'b' cannot be kept in .*state\.json: Object of type object is not"
    ):
        state.set("b", object())

    assert {"a": 1} == state.get_all() == StateManager(path).get_all()
    assert {"state.json", "state.json.lock"} == {each.name for each in tmp_path.iterdir()}


def test_a_path_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    """With the path."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/state\.json: it cannot be"):
        StateManager(tmp_path / "file" / "state.json").set("a", 1)


def test_memory_keeps_any_object() -> None:
    """As it is."""
    value = object()
    state = StateManager()
    state.set("a", value)
    assert value is state.get("a")
    assert "in-memory" in repr(state)


def test_a_cached_function_is_called_once_for_its_arguments(state: StateManager) -> None:
    """Other arguments are another value; the key is the function's name, and theirs."""
    calls: list[Any] = []

    @TaskCache(state)
    def rate(*currencies: str, day: int = 0) -> list[Any]:
        calls.append(currencies)
        return [*currencies, day]

    assert ["EUR", 0] == rate("EUR") == rate("EUR")
    assert ["USD", 1] == rate("USD", day=1)
    assert [0] == rate()
    assert 3 == len(calls)
    assert [0] == state.get("rate")
    assert 3 == len(state.invalidate_pattern("rate*"))
    assert {} == state.get_all()


def test_a_cached_value_gets_old(clock: Clock) -> None:
    """After its time to live the function is called again."""
    calls = []

    @TaskCache(StateManager(), ttl=10)
    def now() -> None:
        calls.append(clock.now)

    now()
    clock.now += 9
    now()
    clock.now += 1
    now()

    assert [1000.0, 1010.0] == calls


def test_a_cache_has_a_key_of_ones_own() -> None:
    """A text, or a function of the arguments."""
    state = StateManager()

    @TaskCache(state, key="fixed")
    def first(x: int) -> int:
        return x

    @TaskCache(state, key=lambda order: f"order:{order['id']}")
    def second(order: dict[str, int]) -> int:
        return order["total"]

    assert (1, 1) == (first(1), first(2))
    assert (5, 5) == (second({"id": 1, "total": 5}), second({"id": 1, "total": 6}))
    assert {"fixed": 1, "order:1": 5} == state.get_all()


def test_arguments_without_json_need_a_key() -> None:
    """Nothing is guessed from their text."""

    @TaskCache(StateManager())
    def take(value: object) -> None: ...

    with pytest.raises(
        FlowkitError, match=r"the arguments of 'take' make no key: .*; give TaskCache a function for `key`"
    ):
        take(object())


def test_a_task_is_cached_below_and_above() -> None:
    """And async ones as well; an error is not kept."""
    state, calls = StateManager(), []

    @task
    @TaskCache(state)
    def below() -> int:
        calls.append("below")
        return 1

    @TaskCache(state)
    @task
    async def above(x: int) -> int:
        calls.append("above")
        await asyncio.sleep(0)
        return x + 1

    @task(retries=1, delay=0)
    @TaskCache(state)
    def flaky(x: int) -> int:
        calls.append("flaky")
        if calls.count("flaky") == 1:
            raise OSError
        return x + 1

    below >> above >> flaky
    dag = DAG("cached")

    assert {"below": 1, "above": 2, "flaky": 3} == dag.run() == dag.run()
    assert ["below", "above", "flaky", "flaky"] == calls
