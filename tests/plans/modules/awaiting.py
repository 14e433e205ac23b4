# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""Async functions, with sync ones between."""

import asyncio

from hamilton.function_modifiers import extract_fields


async def fetched(key: int) -> int:
    await asyncio.sleep(0)
    return key + 1


async def also_fetched(key: int) -> int:
    await asyncio.sleep(0)
    return key + 2


def added(fetched: int, also_fetched: int) -> int:
    return fetched + also_fetched


@extract_fields({"low": int, "high": int})
async def bounds(added: int, margin: int = 1) -> dict:
    await asyncio.sleep(0)
    return {"low": added - margin, "high": added + margin}


async def shown(low: int, high: int) -> str:
    return f"{low}..{high}"
