"""Each wrong input gives its one sentence and its exit code, and nothing is accepted or lost."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from fp_events.brokers.address import BrokerRecord, write_record
from tests.endtoend.harness import Daemon, write_project

from .case import ALERTS_YML, PROJECT, Case
from .cases import LIVE, SECTIONS
from .daemon import Told, told
from .messages import MESSAGES, REQUESTS, BadMessage
from .places import spoiled_ledger
from .running import Answer, answer
from .write_docs import DOCUMENT, document

#: Processes at a time.
_TOGETHER = (os.cpu_count() or 2) + 1
_CASES = {f"{section}: {case.wrong}": case for section, cases in SECTIONS.items() for case in cases}
_LIVE = {case.wrong: case for case in LIVE}

# All run side by side on one loop: whoever comes first waits for more than its own.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(180)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def answers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Mapping[str, asyncio.Task[Answer]]]:
    """The cases that were selected, all under way."""
    places = asyncio.Semaphore(_TOGETHER)

    async def one(case: Case, folder: Path) -> Answer:
        async with places:
            return await answer(case, folder)

    wanted = {item.callspec.params.get("name") for item in request.session.items if hasattr(item, "callspec")}
    tasks = {
        name: asyncio.create_task(one(case, tmp_path_factory.mktemp("case")))
        for name, case in _CASES.items()
        if name in wanted
    }
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("name", _CASES)
async def test_a_wrong_input_is_answered(name: str, answers: Mapping[str, asyncio.Task[Answer]]) -> None:
    """One sentence, one exit code, no traceback, and no message has been accepted."""
    case = _CASES[name]

    given = await answers[name]

    assert (case.says, case.code, 0) == (given.says, given.code, given.accepted)
    assert "Traceback" not in given.log


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def daemon(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Told]:
    """A daemon that has been told everything wrong."""
    async with told(tmp_path_factory.mktemp("daemon")) as running:
        yield running


@pytest.mark.parametrize("name", _LIVE)
async def test_a_wrong_command_is_answered_by_a_daemon(name: str, daemon: Told) -> None:
    """The daemon's refusal is the command's sentence."""
    case = _LIVE[name]

    given = await answer(case, daemon.folder, {"port": str(daemon.port), "pid": str(daemon.pid)})

    assert (case.says, case.code) == (given.says, given.code)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: message.wrong)
async def test_a_wrong_message_is_a_dead_letter(message: BadMessage, daemon: Told) -> None:
    """It is listed with its reason, and its payload is on the dead letters' topic as it was."""
    run = daemon.runs[message.name]

    assert (message.outcome, message.says, True) == (run["outcome"], run["error"], run["dead_letter"])
    assert 1 == daemon.dead_letters.count(message.payload)


async def test_nothing_is_lost_or_made_up(daemon: Told) -> None:
    """One run and one dead letter for each wrong message."""
    assert {message.name for message in MESSAGES} == set(daemon.runs)
    assert len(MESSAGES) == len(daemon.dead_letters)


@pytest.mark.parametrize("number", range(len(REQUESTS)), ids=lambda number: REQUESTS[number].wrong)
async def test_a_wrong_request_is_refused(number: int, daemon: Told) -> None:
    """The reply says why."""
    request = REQUESTS[number]
    said = daemon.refusals[number]
    for name, text in daemon.volatile(said).items():
        said = said.replace(text, f"<{name}>")

    assert request.says == said


async def test_the_command_that_mends_a_damaged_ledger_works(tmp_path: Path) -> None:
    """`ledger recover` is what the sentence advises."""
    case = Case(wrong="", says="", code=0, arguments=("ledger", "recover"), around=spoiled_ledger)

    given = await answer(case, tmp_path)

    ledger = tmp_path / ".fp-events" / "ledger.db"
    assert (0, True) == (given.code, ledger.with_suffix(".recovered.db").exists())


async def test_a_taken_port_is_no_error(tmp_path: Path) -> None:
    """The embedded broker takes another one than last time's, and its address is told."""
    project = write_project(tmp_path, PROJECT)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (project / ".fp-events").mkdir()
        write_record(project / ".fp-events", BrokerRecord(port=port, kind="mosquitto", pid=None, mark=""))
        daemon = Daemon(project)
        try:
            await daemon.start(until="serving")
            line = await daemon.logged("serving")
        finally:
            code = await daemon.stop()

    assert ("embedded mosquitto", False, 0) == (line["embedded"], line["broker"].endswith(f":{port}"), code)


async def test_check_says_what_serve_says(tmp_path: Path) -> None:
    """All of it, a line each, and it makes no folder."""
    wrong = {
        "conf/pipelines/alerts.yml": ALERTS_YML.replace("alerts/{line}", "alerts/{lane}"),
        "pipelines/other.py": "def other(x) -> int:\n    return 1\n",
    }

    said = [
        await answer(Case(wrong="", says="", code=78, files=wrong, arguments=(verb,)), tmp_path)
        for verb in ("check", "serve")
    ]

    assert [(78, 2), (78, 2)] == [(each.code, len(each.says.splitlines())) for each in said]
    assert said[0].says == said[1].says
    assert not (tmp_path / ".fp-events").exists()


async def test_the_documentation_is_in_step() -> None:
    """To mend: python -m tests.wrong_inputs.write_docs."""
    assert document() == DOCUMENT.read_text(encoding="utf-8")


async def test_every_sentence_is_one_and_names_a_mend_or_a_place() -> None:
    """No two lines, no traceback, no name of our own classes."""
    said = [case.says for case in (*_CASES.values(), *LIVE)] + [message.says for message in (*MESSAGES, *REQUESTS)]

    assert [] == [text for text in said if "fp_events." in text or "Traceback" in text or not text]
