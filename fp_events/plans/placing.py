"""Paths in Hamilton's loaders and savers: relative to the project, and on any filesystem.

What `@load_from.csv(path="data/in.csv")` names is in the project, wherever the process runs; a URL such as
``s3://bucket/in.csv`` is read through a local copy, and written through one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields
from functools import partial
from pathlib import Path
from types import FunctionType
from typing import Any, Final

from fp_events import filesystems
from fp_events.domain.errors import ConfigError

#: Fields of adapters that name a file.
_FILES: Final = ("path", "file", "filepath_or_buffer")
_DATABASES: Final = ("db_connection",)
_SQLITE: Final = "sqlite:///"
_FILE: Final = "file://"
#: Adapters that read or write at once, so that a local copy may go afterwards; others know URLs themselves.
_AT_ONCE: Final = frozenset(
    {
        "hamilton.io.default_data_loaders",
        *(
            f"hamilton.plugins.{name}_extensions"
            for name in ("pandas", "yaml", "numpy", "matplotlib", "plotly", "xgboost", "lightgbm", "sklearn_plot")
        ),
        "hamilton.plugins.polars_post_1_0_0_extensions",
        "hamilton.plugins.polars_pre_1_0_0_extension",
    }
)
#: Arguments with which an adapter finds its way to a filesystem by itself.
_OWN_WAY: Final = ("storage_options", "filesystem")


class Places:
    """Where a project's data is. Not part of a plan's version: the same code elsewhere is the same code."""

    def __init__(self, project: str) -> None:
        """`project`: its folder, or its URL."""
        self._project = project
        self._remote = filesystems.is_remote(project) and not Path(project).is_dir()

    def file(self, given: Any) -> Any:
        """The absolute path, or the URL, of a file; what is no path stays."""
        if not isinstance(given, str | os.PathLike):
            return given
        text = os.fspath(given)
        if not isinstance(text, str) or _is_url(text):
            return text.removeprefix(_FILE) if isinstance(text, str) else given
        if Path(text).expanduser().is_absolute():
            return str(Path(text).expanduser())
        if not self._remote:
            return str(Path(self._project, text))
        inner, chained, outer = filesystems.archive_or_folder(self._project).partition("::")
        return f"{inner.rstrip('/') if inner != 'zip://' else 'zip:/'}/{text}{chained}{outer}"

    def database(self, given: Any) -> Any:
        """A database's URL, SQLite's file in the project. Raises ConfigError where that is not on this machine."""
        if not isinstance(given, str) or not given.startswith(_SQLITE):
            return given
        file = given.removeprefix(_SQLITE)
        if not file or file.startswith(("/", ":")):
            return given
        if self._remote:
            raise ConfigError(
                f"the SQLite file {file} is relative to the project, which is not on this machine",
                mend="give an absolute path: sqlite:////folder/file.db",
            )
        return f"{_SQLITE}{Path(self._project, file)}"


def placed(node: Any, places: Places) -> Any:
    """The node; that of a loader or saver with a path finds its files."""
    call = _adapter_call(node.callable)
    return node if call is None else node.copy_with(callabl=partial(call[0], places, *call[1:]))


def _adapter_call(function: Any) -> tuple[Any, ...] | None:
    """What Hamilton's own node of an adapter would do, and what it holds; None for other nodes."""
    if not isinstance(function, FunctionType) or function.__module__ != "hamilton.function_modifiers.adapters":
        return None
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    # Names that begin with two underscores within a class carry the class before them.
    held = {name.rpartition("__")[2]: value for name, value in zip(names, function.__defaults__ or (), strict=False)}
    if {"loader_factory", "load_type", "resolved_kwargs", "dependencies"} <= held.keys():
        return _load, held["loader_factory"], held["resolved_kwargs"], held["dependencies"], held["load_type"]
    if {"adapter_factory", "data_node_name", "resolved_kwargs", "dependencies"} <= held.keys():
        return _save, held["adapter_factory"], held["resolved_kwargs"], held["dependencies"], held["data_node_name"]
    return None


def _load(
    places: Places,
    factory: Any,
    resolved: Mapping[str, Any],
    dependencies: Mapping[str, str],
    load_type: Any,
    /,
    **given: Any,
) -> Any:
    arguments = {**resolved, **{dependencies.get(name, name): value for name, value in given.items()}}
    with ExitStack() as copies:
        urls = {}
        for name in _present(factory, arguments, _FILES):
            found = places.file(arguments[name])
            if _is_url(found) and _through_copy(factory, arguments):
                urls[found] = arguments[name] = str(copies.enter_context(filesystems.fetched(found)))
            else:
                arguments[name] = found
        _place_databases(places, factory, arguments)
        value, facts = factory.create_loader(**arguments).load_data(load_type)
    return value, _told(facts, urls)


def _save(
    places: Places,
    factory: Any,
    resolved: Mapping[str, Any],
    dependencies: Mapping[str, str],
    node: str,
    /,
    **given: Any,
) -> Any:
    data = given.pop(node)
    arguments = {**resolved, **{dependencies.get(name, name): value for name, value in given.items()}}
    with ExitStack() as copies:
        urls = {}
        for name in _present(factory, arguments, _FILES):
            asked = arguments[name]
            found = places.file(asked)
            if _is_url(found) and _through_copy(factory, arguments):
                urls[found] = arguments[name] = str(copies.enter_context(filesystems.delivered(found)))
            else:
                arguments[name] = found
                if found != asked and not _is_url(found):
                    Path(found).parent.mkdir(parents=True, exist_ok=True)
        _place_databases(places, factory, arguments)
        facts = factory.create_saver(**arguments).save_data(data)
    return _told(facts, urls)


def _present(factory: Any, arguments: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    known = {each.name for each in fields(factory.adapter_cls)}
    return [name for name in names if name in arguments and name in known]


def _place_databases(places: Places, factory: Any, arguments: dict[str, Any]) -> None:
    for name in _present(factory, arguments, _DATABASES):
        arguments[name] = places.database(arguments[name])


def _through_copy(factory: Any, arguments: Mapping[str, Any]) -> bool:
    return factory.adapter_cls.__module__ in _AT_ONCE and not any(arguments.get(name) for name in _OWN_WAY)


def _is_url(given: Any) -> bool:
    return isinstance(given, str) and ("://" in given or "::" in given) and not given.startswith(_FILE)


def _told(facts: Any, urls: Mapping[str, str]) -> Any:
    """An adapter's facts, with URLs in the place of copies."""
    shown = {copy: filesystems.without_credentials(url) for url, copy in urls.items()}
    if not shown or not isinstance(facts, dict):
        return facts
    told = {}
    for name, value in facts.items():
        url = shown.get(value["path"]) if isinstance(value, dict) and "path" in value else None
        told[name] = value if url is None else {**value, "path": url, "scheme": url.partition("://")[0]}
    return told
