"""Hamilton UI on this machine: its server with a database of its own, where `hamilton_tracker` reports to."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from fp_events.domain.errors import ConfigError


def find() -> Any:
    """Hamilton UI's commands; raises ConfigError where it is not installed."""
    try:
        return import_module("hamilton_ui.commands")
    except ModuleNotFoundError as error:
        raise ConfigError("Hamilton UI is not installed", mend="pip install 'fp-events[ui]'") from error


def serve(commands: Any, folder: Path, host: str, port: int, *, opens_browser: bool) -> None:
    """Run it until it is interrupted; database and values are kept in `folder`.

    Its own command listens on every interface, without asking anybody who they are: here it listens on `host`.
    """
    execute = commands.execute_from_command_line

    def here(arguments: Sequence[str]) -> None:
        if "runserver" not in arguments:
            execute(list(arguments))
            return
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        kept = [argument for argument in arguments if not argument.endswith(f":{port}")]
        # One process: Ctrl-C ends it, and nothing is watched for changes.
        execute([*kept, address, "--noreload"])

    vars(commands)["execute_from_command_line"] = here
    commands.run(
        port=port,
        base_dir=str(folder),
        no_migration=False,
        no_open=not opens_browser,
        settings_file="mini",
        config_file=None,
    )
