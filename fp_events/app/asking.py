"""Commands: to the live daemon, or to the ledger where none runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from fp_events import codecs
from fp_events.domain.errors import DaemonUnavailable
from fp_events.runtime.commands import COMMANDS, CommandTable
from fp_events.runtime.destinations import describer
from fp_events.runtime.socket_door import ask

from .building import folder_of, make_ledger, names_of

if TYPE_CHECKING:
    from fp_events.config import Config


async def call(
    config: Config, command: str, arguments: Mapping[str, Any], *, by_daemon: bool = False
) -> dict[str, Any]:
    """Answer one command of the table; see `fp_events.runtime.commands` for names and arguments.

    Without a daemon, what the ledger alone can answer is answered under its lock, unless it is to be answered
    `by_daemon`; else DaemonUnavailable is raised.
    """
    try:
        return await ask(folder_of(config), command, arguments)
    except DaemonUnavailable:
        if by_daemon or (command in COMMANDS and COMMANDS[command].live):
            raise
    ledger, path = make_ledger(config)
    if path is None or not path.exists():
        raise DaemonUnavailable(
            "no daemon is running for this project, and it has no ledger yet",
            where=config.shown,
            mend="start one with `fp-events serve`",
        )
    await ledger.open()
    try:
        describe = describer(config.pipelines, codecs, names_of(config))
        return await CommandTable(ledger, None, codecs.state_to_json, describe).call(command, arguments)
    finally:
        await ledger.close()
