"""The sessions of docs/python.md, as they are printed there."""

from __future__ import annotations

import asyncio
import doctest
from pathlib import Path

import pytest

from tests.brokers import mosquitto
from tests.endtoend.harness import serving, write_project

from .pages import ROOT, blocks, project

PAGE = ROOT / "docs/python.md"


def session(text: str) -> list[str]:
    """Run a session; what it printed otherwise."""
    test = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    told: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=told.append)
    return told


async def test_sessions_print_what_they_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other, beside a daemon of the page's project."""
    text = "".join(block.text for block in blocks(PAGE, "pycon"))
    monkeypatch.chdir(write_project(tmp_path, project(PAGE)))
    async with mosquitto() as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
        monkeypatch.setenv("FP_EVENTS_MQTT__URL", url)
        async with serving(tmp_path, {"FP_EVENTS_MQTT__URL": url}) as daemon:
            told = await asyncio.to_thread(session, text)
            assert 0 == await daemon.stop()

    assert [] == told
    assert text.count(">>>") > 30
