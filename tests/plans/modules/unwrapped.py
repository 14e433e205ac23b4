# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""Decorators on top of one another, optional inputs under them, and fields that are not there."""

from hamilton.function_modifiers import extract_fields, group, inject, parameterize, source, unpack_fields, value


@parameterize(
    near={"number": source("start"), "unit": value("m")},
    far={"number": source("near_number"), "unit": source("unit")},
)
def distance(number: int, unit: str, scale: int = 3, shift: int = 0) -> str:
    return f"{number * scale + shift}{unit}"


def near_number(near: str) -> int:
    return len(near)


@extract_fields({"width": int, "height": int})
@inject(sides=group(w=source("start"), h=value(7)), factor=value(2))
def size(sides: dict[str, int], factor: int) -> dict:
    return {"width": sides["w"] * factor, "height": sides["h"] * factor}


@extract_fields({"there": int, "lost": int}, fill_with=-1)
def filled(start: int) -> dict:
    return {"there": start}


@extract_fields({"present": int, "absent": int})
def lacking(start: int) -> dict:
    return {"present": start}


@unpack_fields("first", "second", "third")
def short(start: int) -> tuple[int, int, int]:
    return (start, start)


@inject(parts=group(source("width"), source("present"), source("first"), value(None)))
def parts_of(parts: list[int]) -> list:
    parts.append("own")
    return parts


@parameterize(alone={"optional": source("start")}, beside={"other": source("extra")})
def lenient(optional: int = 5, other: int = 6) -> int:
    return optional * 10 + other
