"""Scalars: what plain text means in YAML, and how a value is named in an error."""

from __future__ import annotations

import re
from typing import Final

#: YAML 1.2 core schema (10.3.2): `on`, `off`, `yes`, `no` and dates are text.
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT: Final = re.compile(r"[-+]?[0-9]+")
_OCTAL: Final = re.compile(r"0o[0-7]+")
_HEX: Final = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY: Final = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAN: Final = frozenset({".nan", ".NaN", ".NAN"})
#: Digits; Python itself refuses to read longer numbers.
_LONGEST_INT: Final = 4000
#: Characters of a value repeated in an error.
_SHOWN: Final = 60


class Substituted(str):
    """Text that came, wholly or in part, from an environment variable.

    `whole`: nothing else is in it, so that the key it is given to decides its type.
    `hidden`: it may be a secret, and no error repeats it.
    """

    variable: str
    whole: bool
    hidden: bool

    def __new__(cls, text: str, *, variable: str, whole: bool, hidden: bool = True) -> Substituted:
        """Remember where `text` came from."""
        made = super().__new__(cls, text)
        made.variable = variable
        made.whole = whole
        made.hidden = hidden
        return made


def plain_scalar(text: str) -> object:
    """What unquoted `text` means in YAML 1.2: None, a bool, an int, a float or the text itself."""
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    if _INT.fullmatch(text) and len(text) < _LONGEST_INT:
        return int(text)
    if _OCTAL.fullmatch(text):
        return int(text[2:], 8)
    if _HEX.fullmatch(text):
        return int(text, 16)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return float("nan") if text in _NAN else text


def typed(value: object) -> object:
    """`value`, but a whole substitution as the scalar that its text means."""
    if isinstance(value, Substituted):
        return plain_scalar(str(value)) if value.whole else str(value)
    return value


def describe(value: object) -> str:
    """`value` as an error names it."""
    if isinstance(value, Substituted) and value.hidden:
        return f"the value of {value.variable}"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(str(value) if len(value) <= _SHOWN else value[:_SHOWN] + "…")
    if isinstance(value, dict):
        return "a block of keys"
    if isinstance(value, list | tuple):
        return "a list"
    return str(value)[:_SHOWN]
