"""Compare plans with Hamilton's driver on every module in some folders, such as those of Hamilton's own tests.

    python -m tests.plans.compare_with_hamilton <checkout of apache/hamilton>/tests/resources
    python -m tests.plans.compare_with_hamilton --alone <checkout of apache/hamilton>/examples/hello_world ...

With `--alone` each folder is a project of its own, without the folders in it, as Hamilton's examples are.
Inputs are made up from their types. A module is skipped where it cannot be imported (a library is missing) or where
Hamilton's driver refuses it too. Exit code 1 where a value differs.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import sys
import typing
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fp_events.domain.errors import ConfigError
from fp_events.domain.pipeline import Pipeline
from fp_events.plans.awaiting import may_await
from fp_events.plans.catalogue import Catalogue
from fp_events.plans.selection import Selection, select

from .comparing import Comparison, compare
from .decorators import BROKEN, all_decorators, used_in

_POWER_USER = {"hamilton.enable_power_user_mode": True}
#: Modules of Hamilton's tests that need a configuration; several are compared under each of them.
_CONFIGS: dict[str, list[dict[str, Any]]] = {
    "config_modifier": [{"fn_1_version": version} for version in range(4)],
    "dynamic_config": [
        {"columns_to_sum_map": {"ab": ["a", "b"], "cd": ["c", "d"], "abcd": ["ab", "cd"]}, **_POWER_USER}
    ],
    "layered_decorators": [{"foo": "bar"}, {"foo": "baz"}],
    "pipe_async": [{"groupby": "a"}, {"groupby": "b"}],
    "mutate_async": [{"groupby": "a"}, {"groupby": "b"}],
    "pipe_input": [{"calc_c": False}, {"calc_c": True}],
    "pipe_output": [{"calc_c": False}, {"calc_c": True}],
    "mutate": [{"calc_c": False}, {"calc_c": True}],
    "example_module": [{}, {"case": "spend"}],
    "smoke_screen_module": [{"region": "US"}, {"region": "CA"}],
    "parallel_delayed": [{"hamilton.enable_power_user_mode": True, "op": "product"}],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One module under one configuration."""

    module: str
    verdict: str
    nodes: int = 0
    equal: int = 0
    same_error: int = 0
    path: str = ""
    details: tuple[str, ...] = ()
    file: Path = Path()


def rows(folder: Path, *, alone: bool = False) -> Iterator[Row]:
    """Compare what is in `folder`, at any depth unless `alone`."""
    root = folder.resolve()
    while (root / "__init__.py").exists() and not alone:
        root = root.parent
    for file in sorted(folder.resolve().glob("*.py") if alone else folder.resolve().rglob("*.py")):
        if file.name == "__init__.py":
            continue
        name = ".".join(file.relative_to(root).with_suffix("").parts)
        for config in _CONFIGS.get(file.stem, [{}]):
            yield replace(_row(root, name, config), file=file)


def _row(root: Path, name: str, config: Mapping[str, Any]) -> Row:
    shown = name + (f" {config}" if config else "")
    catalogue = Catalogue(root)
    pipeline = Pipeline(name=name, module=name, config=config)
    try:
        graph = catalogue.graph(pipeline)
    except ConfigError as error:
        return Row(module=shown, verdict="skipped", details=(str(error),))
    names = tuple(graph.computed())
    if not names:
        return Row(module=shown, verdict="skipped", details=("it has no functions",))
    selection = select(graph, names)
    pipeline = Pipeline(name=name, module=name, config=config, final_vars=names)
    inputs = dict(_inputs(selection))
    asynchronous = any(may_await(graph.nodes[node]) for node in names)
    try:
        result = compare(catalogue, pipeline, inputs, asynchronous=asynchronous)
    except Exception as error:  # noqa: BLE001 (the driver refuses some modules in its own ways)
        return Row(module=shown, verdict="skipped", details=(f"{type(error).__name__}: {error}",))
    return _judged(shown, len(names), result)


def _judged(shown: str, count: int, result: Comparison) -> Row:
    details = tuple(f"{node}: {text}" for node, text in result.different.items())
    verdict = "DIFFERENT" if details else "equal" if result.equal else "skipped"
    if verdict == "skipped":
        details = ("every function fails with made-up inputs, the same way by both",)
    return Row(
        module=shown,
        verdict=verdict,
        nodes=count,
        equal=len(result.equal),
        same_error=len(result.same_error),
        path="driver" if result.through_driver else "compiled",
        details=details,
    )


def _inputs(selection: Selection) -> Iterator[tuple[str, Any]]:
    for name, required in selection.inputs.items():
        if required:
            yield name, _made_up(selection.graph.nodes[name].type)


def _made_up(hint: Any) -> Any:
    """A value of a type; integers where anything will do."""
    origin = typing.get_origin(hint) or hint
    if origin is typing.Annotated:
        return _made_up(typing.get_args(hint)[0])
    if origin is typing.Union:
        return _made_up(typing.get_args(hint)[0])
    simple: dict[Any, Any] = {
        str: "a",
        bool: True,
        int: 3,
        float: 2.5,
        bytes: b"a",
        datetime: datetime(2024, 5, 1, tzinfo=UTC),
    }
    if origin in simple:
        return simple[origin]
    kind = getattr(origin, "__name__", "")
    if kind in {"DataFrame", "Series"}:
        import pandas as pd

        frame = pd.DataFrame({"a": [1, 2, 2], "b": [3.0, 4.0, 4.5], "c": [5, 6, 7]})
        return frame if kind == "DataFrame" else frame["c"]
    if isinstance(origin, type) and issubclass(origin, dict):
        return {"a": 1, "b": 2}
    if isinstance(origin, type) and issubclass(origin, list | tuple | set):
        return origin([1, 2, 3])
    return 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table and totals; 1 where a value differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--alone", action="store_true", help="each folder is a project of its own")
    parser.add_argument("--quiet", action="store_true", help="leave out what was skipped")
    options = parser.parse_args(arguments)
    done: list[Row] = []
    for folder in options.folders:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            done += rows(folder, alone=options.alone)
    for row in done:
        if row.verdict == "skipped" and options.quiet:
            continue
        print(f"{row.verdict:9} {row.path:8} {row.equal:3} of {row.nodes:3} nodes  {row.module}")
        for detail in row.details:
            print(f"          {detail}")
    _totals(done)
    return int(any(row.verdict == "DIFFERENT" for row in done))


def _totals(done: Sequence[Row]) -> None:
    compared = [row for row in done if row.verdict != "skipped"]
    equal = [row for row in compared if row.verdict == "equal"]
    modules = {row.module.partition(" ")[0] for row in compared}
    compiled = {row.module.partition(" ")[0] for row in compared if row.path == "compiled"}
    print(
        f"\n{len(modules)} modules compared in {len(compared)} configurations, {len(equal)} equal, "
        f"{len(compared) - len(equal)} different; {len(done) - len(compared)} skipped\n"
        f"{sum(row.equal for row in compared)} of {sum(row.nodes for row in compared)} nodes give equal values, "
        f"{sum(row.same_error for row in compared)} fail the same way with made-up inputs\n"
        f"{len(compiled)} modules on the compiled path, {len(modules) - len(compiled)} through the driver"
    )
    used = {name for row in compared for name in used_in(row.file)}
    print(
        f"{len(used)} of Hamilton's {len(all_decorators() - BROKEN)} decorators among them: {', '.join(sorted(used))}"
    )


if __name__ == "__main__":
    sys.exit(main())
