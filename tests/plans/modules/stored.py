# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@load_from`, `@save_to`, `@dataloader`, `@datasaver` with local files."""

import json
from pathlib import Path

from hamilton.function_modifiers import dataloader, datasaver, load_from, save_to, source, value


@load_from.json(path=source("settings_file"))
def settings(data: dict) -> dict:
    return {**data, "loaded": True}


@load_from.literal(value=value(4))
def count(number: int) -> int:
    return number


@save_to.json(path=source("result_file"), output_name_="saved")
def result(settings: dict, count: int) -> dict:
    return {"sum": settings["a"] + count}


@dataloader()
def lines(settings_file: str) -> tuple[list[str], dict]:
    return Path(settings_file).read_text().splitlines(), {"file": "settings"}


@datasaver()
def copied(lines: list[str], result_file: str) -> dict:
    Path(f"{result_file}.copy").write_text("\n".join(lines))
    return {"lines": len(json.dumps(lines))}
