"""``${VAR}`` in YAML text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from .values import Substituted

_REFERENCE: Final = re.compile(
    r"(?P<escape>\$\$\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::(?P<rule>[-?])(?P<rest>[^}]*))?\}|(?P<bad>\$\{)"
)


def interpolate(text: str, environ: Mapping[str, str], *, plain: bool) -> str:
    """`text` with its references replaced; `plain`: it stood there without quotes.

    ``${VAR}``, ``${VAR:-default}`` (also where VAR is empty), ``${VAR:?message}`` (also where VAR is empty),
    ``$${`` for a literal ``${``. What came from the environment is a `Substituted`.

    Raises ValueError with a one-line reason where a variable is not set or a reference is malformed.
    """
    if "${" not in text:
        return text
    names: list[str] = []

    def replace(match: re.Match[str]) -> str:
        if match["escape"]:
            return "${"
        if match["bad"]:
            raise ValueError(
                "'${' does not begin a reference such as ${VAR}; write '$${' for the characters themselves"
            )
        names.append(match["name"])
        return _value(match, environ)

    whole = plain and _REFERENCE.fullmatch(text) is not None
    result = _REFERENCE.sub(replace, text)
    return Substituted(result, variable=" and ".join(names), whole=whole) if names else result


def _value(match: re.Match[str], environ: Mapping[str, str]) -> str:
    name, rule = match["name"], match["rule"]
    value = environ.get(name)
    if rule == "-":
        return value or match["rest"]
    if rule == "?" and not value:
        raise ValueError(f"{name}: {match['rest'] or 'must be set'}")
    if value is None:
        raise ValueError(
            f"the environment variable {name} is not set; set it, or give a default as in ${{{name}:-default}}"
        )
    return value
