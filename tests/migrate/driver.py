"""What Hamilton's driver computes of an old project, with FlowerPower's own way of reading parameters.

FlowerPower need not be installed: of all it has, pipelines' modules use `Config` at their top. The stand-in below gives
them what that class does, by FlowerPower's rule: each key of `params` is a function, what is below it are its arguments,
and text that names another key is that key's value.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import yaml


class Attributes(dict[str, Any]):
    """A mapping whose keys are attributes too."""

    def __getattr__(self, name: str) -> Any:
        try:
            found = self[name]
        except KeyError:
            raise AttributeError(name) from None
        return Attributes(found) if isinstance(found, dict) else found


def parameters(params: Mapping[str, Any]) -> Attributes:
    """`h_params`: for ``parameterize(**PARAMS.<function>)``."""
    from hamilton.function_modifiers import source, value

    def lent(item: Any) -> bool:
        return isinstance(item, str) and item in params

    made = Attributes()
    for name, given in params.items():
        if isinstance(given, dict):
            made[name] = {name: {key: source(item) if lent(item) else value(item) for key, item in given.items()}}
        else:
            made[name] = {name: source(given) if lent(given) else given}
    return made


class Config:
    """FlowerPower's `Config`: today's ``Config.load(folder, pipeline_name=…)`` and the first ``Config(folder)``."""

    def __init__(self, folder: str | Path) -> None:
        data = yaml.safe_load((Path(folder) / "conf" / "pipeline.yml").read_text())
        self.pipeline_params = Attributes({name: parameters(params) for name, params in data["params"].items()})

    @staticmethod
    def load(folder: str | Path, pipeline_name: str, **_: object) -> Any:
        """The settings of one pipeline."""
        path = Path(folder) / "conf" / "pipelines" / pipeline_name.replace(".", "/")
        file = next(path.with_name(f"{path.name}{ending}") for ending in (".yml", ".yaml")
                    if path.with_name(f"{path.name}{ending}").is_file())  # fmt: skip
        data = yaml.safe_load(file.read_text()) or {}
        params = data.get("params") or data.get("func") or {}
        run = {name: Attributes(value or {}) for name, value in (data.get("run") or {}).items() if value is None
               or isinstance(value, dict)}  # fmt: skip
        made = parameters(params)
        pipeline = SimpleNamespace(
            h_params=made, hamilton_func_params=made, params=Attributes(params), run=SimpleNamespace(**run)
        )
        return SimpleNamespace(pipeline=pipeline)


@contextmanager
def flowerpower(folder: Path) -> Iterator[None]:
    """``import flowerpower.cfg`` works, and so does what FlowerPower puts on the path."""
    package, cfg = ModuleType("flowerpower"), ModuleType("flowerpower.cfg")
    cfg.Config = Config  # type: ignore[attr-defined]  # a module takes any attribute
    before = set(sys.modules), list(sys.path)
    try:
        if importlib.util.find_spec("flowerpower") is None:
            sys.modules |= {"flowerpower": package, "flowerpower.cfg": cfg}
        sys.path[:0] = [str(folder), str(folder / "pipelines")]
        yield
    finally:
        for name in set(sys.modules) - before[0]:
            if name.startswith("flowerpower") or str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
        sys.path[:] = before[1]


def expected(
    folder: Path, module: str, final_vars: list[str], *, inputs: Mapping[str, Any], config: Mapping[str, Any]
) -> dict[str, Any]:
    """Values by Hamilton's driver of the module, a file in an old project."""
    from hamilton import driver

    with flowerpower(folder):
        spec = importlib.util.spec_from_file_location("old_pipeline", folder / module)
        assert spec is not None
        assert spec.loader is not None
        loaded = importlib.util.module_from_spec(spec)
        sys.modules["old_pipeline"] = loaded
        try:
            spec.loader.exec_module(loaded)
            builder = driver.Builder().with_modules(loaded).with_config(dict(config))
            return dict(builder.build().execute(final_vars, inputs=dict(inputs)))
        finally:
            del sys.modules["old_pipeline"]
