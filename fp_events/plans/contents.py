"""What objects of libraries are made of: a compiled pattern, a date, an array that a function uses as a constant."""

from __future__ import annotations

import copyreg
from typing import Any, Final

#: Libraries whose values are the same in every process that makes them alike.
_STABLE: Final = frozenset(
    [
        "builtins",
        "collections",
        "datetime",
        "decimal",
        "fractions",
        "numpy",
        "operator",
        "pathlib",
        "re",
        "uuid",
        "zoneinfo",
    ]
)


def contents(value: Any, *, thorough: bool) -> list[Any]:
    """The parts that pickling would take an object apart into, without pickling them; none where it does not tell.

    Unless `thorough`, only of libraries that are sure to give the same parts in every process.
    """
    kind = type(value)
    if not (thorough or kind.__module__.partition(".")[0] in _STABLE):
        return []
    reduce = copyreg.dispatch_table.get(kind)
    try:
        found = reduce(value) if reduce is not None else value.__reduce_ex__(4)
        if isinstance(found, str):
            return [found]
        function, arguments, *rest = found
        return [
            function,
            arguments,
            *(part if index == 0 or part is None else list(part) for index, part in enumerate(rest[:3])),
        ]
    except Exception:  # noqa: BLE001 (locks, connections and the like cannot be taken apart, and say so as they like)
        return []
