"""Hooks that are called once an outcome, or a retry, is durable."""

from __future__ import annotations

from typing import Any

from tests.runtime.conftest import House

HOOKS = '''
"""Numbers above 100 are calls of hooks."""

from tests.runtime import gates


def note(number, *do):
    def hook(record):
        gates.act(number, list(do))
    return hook


project, own, succeeded, retried = note(100), note(101), note(102), note(103)


def refuses(record):
    raise RuntimeError("nobody listens")


async def later(record):
    gates.act(104, None)


def leaves(record):
    raise SystemExit("enough")
'''


def names(*functions: str) -> list[str]:
    return [f"hooks.notes:{function}" for function in functions]


def add_hooks(house: House, text: str = HOOKS) -> None:
    (house.folder / "hooks").mkdir(exist_ok=True)
    (house.folder / "hooks" / "notes.py").write_text(text)


async def test_the_projects_are_called_before_the_pipelines(house: House) -> None:
    """Each once for a run, in the order of the lists, whether it waits or not."""
    add_hooks(house)
    house.project(hooks={"after_run": names("project")})
    house.pipeline(hooks={"after_run": names("own", "later"), "on_success": names("succeeded")[0]})
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.outcomes(1)
        assert await daemon.stop()

    assert [1, 100, 101, 104, 102] == house.steering.calls


async def test_their_errors_are_counted_and_told_and_change_nothing(house: House) -> None:
    """The run has succeeded and stays so; the hooks after the one that raised are called."""
    add_hooks(house)
    house.pipeline(hooks={"after_run": names("refuses", "leaves", "own")})
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        assert ["succeeded"] == await daemon.outcomes(1)
        status = await daemon.asked(lambda status: status["hooks"]["called"] == 3)
        run = (await daemon.ask("runs.list"))["runs"][0]
        said = [facts for event, facts in daemon.log if event == "callback_failed"]

    assert {"called": 3, "waiting": 0, "errors": 2, "dropped": 0} == status["hooks"]
    assert "succeeded" == run["outcome"]
    assert [1, 101] == house.steering.calls
    expected: list[dict[str, Any]] = [
        {"hook": "after_run hooks.notes:refuses", "at": "hooks/notes.py:17", "error": "RuntimeError: nobody listens"},
        {
            "hook": "after_run hooks.notes:leaves",
            "at": "hooks/notes.py:24",
            "error": "RuntimeError: SystemExit: enough",
        },
    ]
    assert [{"pipeline": "work", "run_id": run["run_id"], **facts} for facts in expected] == said


async def test_each_retry_is_told_once(house: House) -> None:
    """After it is durable, with what failed and when the next attempt is due."""
    add_hooks(
        house,
        HOOKS
        + """
def retrying(record):
    gates.act(200 + record.attempt, None)
    assert (record.failure.message, record.delay) == ("run 1 fails", 0.0), record
""",
    )
    house.pipeline(hooks={"on_retry": names("retrying")}, run={"max_retries": 3, "retry_delay": 0})
    async with house.serving() as daemon:
        house.publish("in/work", 1, "fail", "fail", "ok")
        assert ["succeeded"] == await daemon.outcomes(1)
        status = await daemon.asked(lambda status: status["hooks"]["called"] == 2)
        assert await daemon.stop()

    assert [201, 202] == [call for call in house.steering.calls if call > 200]
    assert 0 == status["hooks"]["errors"], daemon.log


async def test_a_reload_takes_changed_hooks_over(house: House) -> None:
    """The code of a hooks module is of the version that was read last; a broken one is refused."""
    add_hooks(house)
    house.pipeline(hooks={"after_run": names("own")})
    async with house.serving() as daemon:
        house.publish("in/work", 1)
        await daemon.asked(lambda status: status["hooks"]["called"] == 1)
        add_hooks(house, HOOKS.replace("note(101)", "note(111)"))
        await daemon.ask("reload")
        house.publish("in/work", 2)
        await daemon.asked(lambda status: status["hooks"]["called"] == 2)

    assert [1, 101, 2, 111] == house.steering.calls
