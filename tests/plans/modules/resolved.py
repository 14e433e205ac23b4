# Hamilton's decorators have no type hints.
# mypy: ignore-errors
"""`@resolve`: decorators made from the configuration."""

from hamilton.function_modifiers import ResolveAt, extract_fields, parameterize, resolve, resolve_from_config, source


@extract_fields({"a": int, "b": int, "c": int})
def numbers(start: int) -> dict:
    return {"a": start, "b": start + 1, "c": start + 2}


@resolve(
    when=ResolveAt.CONFIG_AVAILABLE,
    decorate_with=lambda pairs: parameterize(
        **{name: {"one": source(pair[0]), "two": source(pair[1])} for name, pair in pairs.items()}
    ),
)
def pair(one: int, two: int) -> int:
    return one * two


@resolve_from_config(decorate_with=lambda names: extract_fields(dict.fromkeys(names, str)))
def letters(start: int) -> dict:
    return {"p": "p" * start, "q": "q" * start}
