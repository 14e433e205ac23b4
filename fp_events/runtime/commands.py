"""The command table: what can be asked of a daemon, by whichever door.

Commands that need the ledger alone (`live=False`) are answered without a daemon too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Mapping
from typing import Any

from fp_events.domain.errors import CommandRefused, FpEventsError
from fp_events.domain.ports import Ledger

from .arguments import Arguments
from .command import MOST, Command, Desk, Live
from .commands_again import AGAIN_COMMANDS
from .commands_cancel import CANCEL_COMMANDS
from .commands_daemon import DAEMON_COMMANDS
from .commands_dlq import DLQ_COMMANDS
from .commands_runs import RUNS_COMMANDS
from .commands_schedules import SCHEDULE_COMMANDS
from .commands_state import STATE_COMMANDS
from .commands_submit import SUBMIT_COMMANDS
from .destinations import Describe

__all__ = ["COMMANDS", "MOST", "Broken", "Command", "CommandTable", "Live"]


class Broken(CommandRefused):
    """Answering a command raised what it should not: a defect of this program, which goes on."""

    exit_code = 70

    def __init__(self, command: str, error: Exception) -> None:
        super().__init__(
            f"a defect of fp-events: {type(error).__name__}: {error}", where=command, mend="the daemon goes on"
        )


class CommandTable:
    """Answers commands; `live` is None where no daemon runs and the ledger alone is open."""

    def __init__(
        self,
        ledger: Ledger,
        live: Live | None,
        state_to_json: Callable[[bytes], Any],
        describe: Describe | None = None,
    ) -> None:
        self._desk = Desk(ledger, live, state_to_json, describe)

    async def call(
        self, name: str, given: Mapping[str, Any], *, startable: Container[str] | None = None
    ) -> dict[str, Any]:
        """Answer one command; raises CommandRefused, UsageError or StorageError.

        `startable`: pipelines whose runs it may start again; None: all.
        """
        command = COMMANDS.get(name)
        if command is None:
            raise CommandRefused(f"unknown command '{name}'", mend=f"known are {', '.join(COMMANDS)}")
        try:
            arguments = Arguments(name, given, command.arguments, startable)
            return await command.call(self._desk, arguments)
        except (FpEventsError, asyncio.CancelledError):
            raise
        except Exception as error:
            # Whoever asks must not be able to end the daemon.
            raise Broken(name, error) from error


COMMANDS: Mapping[str, Command] = {
    command.name: command
    for command in (
        *DAEMON_COMMANDS,
        *SUBMIT_COMMANDS,
        *RUNS_COMMANDS,
        *CANCEL_COMMANDS,
        *AGAIN_COMMANDS,
        *DLQ_COMMANDS,
        *STATE_COMMANDS,
        *SCHEDULE_COMMANDS,
    )
}
