"""Hamilton, imported late and quietly, and never from a folder of that name in the working directory."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from fp_events.domain.errors import ConfigError

#: Hamilton's extension -> the library it is for; an extension registers column types and loaders.
_EXTENSIONS = {
    "yaml": "yaml",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "plotly": "plotly",
    "polars": "polars",
    "polars_lazyframe": "polars",
    "pyspark_pandas": "pyspark",
    "spark": "pyspark",
    "dask": "dask",
    "geopandas": "geopandas",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "sklearn_plot": "sklearn",
    "vaex": "vaex",
    "ibis": "ibis",
    "dlt": "dlt",
    "huggingface": "datasets",
    "mlflow": "mlflow",
    "pydantic": "pydantic",
}


@cache
def hamilton(module: str) -> Any:
    """A module of Hamilton, such as ``graph`` or ``function_modifiers.base``. Raises ConfigError where it is shadowed.

    The first call takes 0.3 to 0.7 s, since Hamilton imports pandas.
    """
    # Each extension imports the library it is for: they are loaded one by one, where a pipeline asks for it.
    os.environ.setdefault("HAMILTON_AUTOLOAD_EXTENSIONS", "0")
    # At INFO it names every optional library that is not installed.
    logging.getLogger("hamilton").setLevel(logging.WARNING)
    with _installed_first():
        try:
            return importlib.import_module(f"hamilton.{module}")
        except ImportError as error:
            where = getattr(sys.modules.get("hamilton"), "__path__", ["?"])
            raise ConfigError(
                f"Hamilton cannot be imported from {next(iter(where), '?')}: {error}",
                mend="rename a folder or file 'hamilton' of your own, or run `pip install sf-hamilton`",
            ) from error


@contextmanager
def _installed_first() -> Iterator[None]:
    """Put the folder that Hamilton was installed in before the working directory."""
    if "hamilton" in sys.modules:
        yield
        return
    folder = _installed_in()
    if folder is None:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)


def _installed_in() -> str | None:
    for name in ("apache-hamilton", "sf-hamilton"):
        try:
            found = importlib.metadata.distribution(name).locate_file("hamilton")
        except importlib.metadata.PackageNotFoundError:
            continue
        # An editable install has no folder there; the import system finds it by itself.
        if (Path(str(found)) / "function_modifiers").is_dir():
            return str(Path(str(found)).parent)
    return None


def load_extensions_for(imported: str, names: tuple[str, ...]) -> None:
    """Load what a pipeline's import needs: its library's extension; with loaders those of all libraries that are here.

    `imported` is the dotted name in the import statement, `names` what it takes ``from`` there. A library that nobody
    has imported has no types that a function could load or save; importing it for its extension takes seconds.
    """
    top = imported.partition(".")[0]
    if top != "hamilton":
        for extension in _extensions_of(top):
            _load_extension(extension)
    elif imported.startswith("hamilton.function_modifiers") and (
        not names or not {"load_from", "save_to", "*"}.isdisjoint(names)
    ):
        for extension, library in _EXTENSIONS.items():
            if library in sys.modules:
                _load_extension(extension)
        importlib.import_module("fp_events.plans.mqtt_adapters")


@cache
def _extensions_of(library: str) -> tuple[str, ...]:
    return tuple(extension for extension, needed in _EXTENSIONS.items() if needed == library)


@cache
def _load_extension(extension: str) -> None:
    if importlib.util.find_spec(_EXTENSIONS[extension]) is None:
        return
    try:
        hamilton("registry").load_extension(extension)
    # Hamilton's own autoload passes over the same three.
    except (NotImplementedError, ImportError, Warning) as error:
        logging.getLogger(__name__).debug("Hamilton's %s extension was not loaded: %s", extension, error)


@contextmanager
def silenced(*loggers: str) -> Iterator[None]:
    """Switch off loggers that print a traceback of what is reported properly elsewhere."""
    found = [logging.getLogger(name) for name in loggers]
    before = [logger.disabled for logger in found]
    for logger in found:
        logger.disabled = True
    try:
        yield
    finally:
        for logger, disabled in zip(found, before, strict=True):
            logger.disabled = disabled
