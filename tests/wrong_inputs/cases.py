"""Every wrong input of the campaign: what the tests send and expect, and what docs/errors.md tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from . import adapters, brokers, commands, configuration, hooks, ledgers, live, migration, pipelines
from .case import Case

#: Section of the documentation -> commands, each in a project of its own.
SECTIONS: Mapping[str, Sequence[Case]] = {
    "Configuration": configuration.CASES,
    "Adapters": adapters.CASES,
    "Pipelines": pipelines.CASES,
    "Hooks and resources": hooks.CASES,
    "The command line": commands.CASES,
    "FlowerPower projects": migration.CASES,
    "The broker": brokers.CASES,
    "The ledger": ledgers.CASES,
}
#: Beside a daemon that runs.
LIVE_SECTION = "Commands to a daemon"
LIVE: Sequence[Case] = live.CASES
