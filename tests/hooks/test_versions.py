"""Hooks and resources are of the version that an attempt runs with."""

from __future__ import annotations

from pathlib import Path

import pytest

from fp_events import config
from fp_events.domain.errors import CommandRefused
from fp_events.plans.catalogue import Catalogue
from tests.endtoend.harness import write_project
from tests.runtime.conftest import House

from .test_before_runs import CODE

HOOKS = """
from hooks.helpers import SUFFIX


def unpack(payload):
    return {"text": f"first{SUFFIX}"}


def told(record):
    pass


def opened():
    return "open"
"""


def version(folder: Path) -> str:
    """Of the pipeline as its files are now."""
    return Catalogue(folder).plan(config.load(folder, environ={}).pipelines["p"]).ref.version


def test_what_runs_in_the_attempt_is_part_of_the_version(tmp_path: Path) -> None:
    """With its helpers; what is called after the commit is not, and no comment."""
    hooks = "hooks: {message: hooks.h:unpack, after_run: hooks.h:told}\nresources: {mode: hooks.h:opened}\n"
    files = {
        "conf/project.yml": "name: p\n",
        "conf/pipelines/p.yml": hooks,
        "pipelines/p.py": CODE,
        "hooks/h.py": HOOKS,
        "hooks/helpers.py": "SUFFIX = 1\n",
    }
    first = version(write_project(tmp_path, files))

    def changed(name: str, old: str, new: str) -> bool:
        text = files[name]
        assert old in text
        write_project(tmp_path, {name: text.replace(old, new)})
        found = version(tmp_path)
        write_project(tmp_path, {name: text})
        return found != first

    assert changed("hooks/h.py", "first", "second")
    assert changed("hooks/helpers.py", "1", "2")
    assert changed("hooks/h.py", '"open"', '"shut"')
    assert changed("conf/pipelines/p.yml", "message: hooks.h:unpack, ", "")
    assert not changed("hooks/h.py", "    pass", "    print(record)")
    assert not changed("hooks/h.py", "def told", "# Listens.\ndef told")


async def test_a_reload_takes_them_over_where_they_run(house: House) -> None:
    """In the daemon's threads and in processes; a broken one is refused, and the old one runs on."""
    trigger = {"map": {"n": "payload.n"}}
    for name, executor in (("threads", "threadpool"), ("procs", "processpool")):
        house.pipeline(
            name,
            CODE,
            triggers=[{"topic": f"in/{name}", **trigger}],
            hooks={"message": "hooks.h:unpack"},
            run={"executor": {"type": executor, "max_workers": 1}},
        )
    (house.folder / "hooks").mkdir()
    (house.folder / "hooks/helpers.py").write_text("SUFFIX = 1\n")
    (house.folder / "hooks/h.py").write_text(HOOKS)

    async def texts(count: int) -> set[str]:
        for name in ("threads", "procs"):
            house.publish(f"in/{name}", count)
        await daemon.until(lambda: all(len(house.published(f"out/{name}")) == count for name in ("threads", "procs")))
        return {house.published(f"out/{name}")[-1]["text"] for name in ("threads", "procs")}

    async with house.serving() as daemon:
        assert {"first1"} == await texts(1)
        (house.folder / "hooks/helpers.py").write_text("SUFFIX = '!'\n")
        assert {"threads", "procs"} == set((await daemon.ask("reload"))["reloaded"])
        assert {"first!"} == await texts(2)
        (house.folder / "hooks/h.py").write_text(HOOKS.replace("def unpack(payload)", "def unpack(device)"))
        with pytest.raises(CommandRefused, match="asks for 'device'"):
            await daemon.ask("reload")
        assert {"first!"} == await texts(3)
