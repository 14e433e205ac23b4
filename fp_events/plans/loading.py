"""Importing a project's modules, each version under a package name of its own.

A `Generation` is one look at the project's files: `pipelines.temperature` becomes
`_fp_events_1.pipelines.temperature`, and what that module imports from the project comes from the same generation.
`importlib.reload` is never used: it keeps deleted functions, and would change code under a running plan.
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import itertools
import re
import sys
import threading
import traceback
import weakref
from collections.abc import Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from fp_events.domain.errors import ConfigError

from .hamilton_api import hamilton, load_extensions_for
from .placing import Places

_PREFIX = "_fp_events_"
_numbers = itertools.count(1)
_generations: weakref.WeakValueDictionary[str, Generation] = weakref.WeakValueDictionary()
#: Importing is process-wide; plans are compiled under it too.
LOCK = threading.RLock()


def public_name(dotted: str) -> str:
    """A module's or class's name as the user knows it, without the package of its generation."""
    if not dotted.startswith(_PREFIX):
        return dotted
    return dotted.partition(".")[2]


def public_text(text: str) -> str:
    """`text` without the packages of generations, such as the representation of a type."""
    return re.sub(rf"\b{_PREFIX}\d+\.", "", text)


def generation_of(dotted: str) -> Generation | None:
    """The generation that a module belongs to; None for modules of others."""
    return _generations.get(dotted.partition(".")[0])


class Generation:
    """The project's modules as they were when first imported through it."""

    def __init__(self, root: Path, places: Places | None = None) -> None:
        """`places`: where the project's data is; default: in its folder."""
        self.root = root.resolve()
        self.places = places or Places(str(self.root))
        self.package = f"{_PREFIX}{next(_numbers)}"
        #: Source file -> (modification time in ns, size) when it was read.
        self._read: dict[str, tuple[int, int]] = {}
        self._local: dict[str, bool] = {}
        top = ModuleType(self.package)
        top.__path__ = [str(self.root)]
        sys.modules[self.package] = top
        _generations[self.package] = self
        _install_finder()
        # Plans keep their generation; with the last of them its modules go.
        weakref.finalize(self, _forget, self.package)

    def module(self, name: str) -> ModuleType:
        """Import `name` (``pipelines.temperature``). Raises ConfigError with the line that is to blame."""
        # The hook in user modules assumes Hamilton is there before they ask for it.
        hamilton("function_modifiers")
        with LOCK:
            full = f"{self.package}.{name}"
            if full in sys.modules:
                return sys.modules[full]
            if self._locate(name) is None:
                raise ConfigError(
                    f"there is no module '{name}'",
                    where=f"{name.replace('.', '/')}.py",
                    mend=f"create it under {self.root}, or mend the pipeline's name",
                )
            try:
                return self._import(full)
            # A script's `sys.exit` would end the program, and without a word.
            except (Exception, SystemExit) as error:
                raise self._import_error(name, error) from error

    def changed(self) -> bool:
        """Whether a file that was imported is no longer what it was."""
        return any(_stamp(file) != stamp for file, stamp in self._read.items())

    def contains(self, module_name: str) -> bool:
        """Whether a module, by its `__name__`, is one of this generation's."""
        return module_name.startswith(f"{self.package}.")

    def relative(self, file: str) -> str:
        """A file's path, from the project's folder where it is inside."""
        try:
            return Path(file).resolve().relative_to(self.root).as_posix()
        except ValueError:
            return file

    def is_local(self, name: str) -> bool:
        """Whether ``import name`` in a user's module means a file of the project."""
        top = name.partition(".")[0]
        known = self._local.get(top)
        if known is None:
            known = self._local[top] = self._is_local(top)
        return known

    def _is_local(self, top: str) -> bool:
        if top == "pipelines":
            return True
        if top in sys.stdlib_module_names or top in {"hamilton", "fp_events"}:
            return False
        path = self.root / top
        if path.with_suffix(".py").is_file() or (path / "__init__.py").is_file():
            return True
        if not path.is_dir() or not any(path.glob("*.py")):
            return False
        # Where the project's folder is on the import path, Python finds the same files.
        installed = importlib.util.find_spec(top)
        return installed is None or path in map(Path, installed.submodule_search_locations or ())

    def spec(self, fullname: str) -> ModuleSpec | None:
        """How the import system is to load one of this generation's modules."""
        location = self._locate(fullname.partition(".")[2])
        if location is None:
            return None
        if location.is_dir():
            spec = ModuleSpec(fullname, None, is_package=True)
            spec.submodule_search_locations = [str(location)]
            return spec
        return importlib.util.spec_from_file_location(
            fullname,
            location,
            loader=_Loader(fullname, str(location), self),
            submodule_search_locations=_inside(location),
        )

    def source(self, name: str) -> Path | None:
        """The file of one of the project's modules, imported or not; None for a folder, and where there is none."""
        location = self._locate(name)
        return None if location is None or location.is_dir() else location

    def remember(self, file: str) -> None:
        """Note that `file` is being read."""
        self._read[file] = _stamp(file)

    def import_for(
        self,
        name: str,
        fromlist: Sequence[str] | None,
        globals_: Mapping[str, object] | None,
        locals_: Mapping[str, object] | None,
    ) -> ModuleType:
        """What an absolute import statement in one of this generation's modules gives."""
        if not self.is_local(name):
            module = builtins.__import__(name, globals_, locals_, tuple(fromlist or ()), 0)
            load_extensions_for(name, tuple(fromlist or ()))
            return module
        # Not under our lock: the import system has its own, for each module, and the two could wait for each other.
        found = builtins.__import__(f"{self.package}.{name}", globals_, locals_, tuple(fromlist or ()), 0)
        return found if fromlist else sys.modules[f"{self.package}.{name.partition('.')[0]}"]

    def _import(self, full: str) -> ModuleType:
        before = set(sys.modules)
        try:
            return importlib.import_module(full)
        except BaseException:
            # What was imported half-way must not be found by the next try.
            for name in set(sys.modules) - before:
                if self.contains(name):
                    sys.modules.pop(name, None)
            # The file that was missing may be there next time.
            self._local.clear()
            raise

    def _locate(self, name: str) -> Path | None:
        path = self.root.joinpath(*name.split("."))
        for file in (path / "__init__.py", path.with_name(f"{path.name}.py")):
            if file.is_file():
                return file
        return path if path.is_dir() else None

    def _import_error(self, name: str, error: BaseException) -> ConfigError:
        file, line = self._culprit(name, error)
        if isinstance(error, ConfigError):
            # Of a decorator of ours that was used wrongly.
            return ConfigError(error.what, where=error.where or f"{self.relative(file)}:{line}", mend=error.mend)
        what = f"{type(error).__name__}: {error}"
        mend = "mend the module"
        if isinstance(error, SyntaxError):
            what = f"invalid syntax: {error.msg}"
            mend = "mend the line"
        elif isinstance(error, ModuleNotFoundError):
            missing = public_name(error.name or "")
            what = f"it imports '{missing}', which is not there"
            mend = f"install it, or add {missing.replace('.', '/')}.py to the project"
        elif isinstance(error, SystemExit):
            what = f"it ends the program ({what.rstrip(': ')})"
            mend = 'put what a script does under `if __name__ == "__main__":`'
        return ConfigError(
            f"module '{name}' cannot be imported: {what}", where=f"{self.relative(file)}:{line}", mend=mend
        )

    def _culprit(self, name: str, error: BaseException) -> tuple[str, int]:
        """The line of the project that the error came through last."""
        if isinstance(error, SyntaxError) and error.filename:
            return error.filename, error.lineno or 1
        inside = [
            (frame.filename, frame.lineno or 1)
            for frame in traceback.extract_tb(error.__traceback__)
            if self._read.get(frame.filename)
        ]
        return inside[-1] if inside else (str(self._locate(name)), 1)


class _Loader(SourceFileLoader):
    """Runs a user's module with an ``import`` statement that stays inside the generation."""

    def __init__(self, fullname: str, path: str, generation: Generation) -> None:
        super().__init__(fullname, path)
        self._generation = weakref.ref(generation)

    def get_code(self, fullname: str) -> CodeType:
        """Compile from source: a cached .pyc is taken for fresh when two edits fall into one second."""
        generation = self._generation()
        assert generation is not None
        generation.remember(self.path)
        source = Path(self.path).read_bytes()
        code: CodeType = self.source_to_code(source, self.path)
        return code

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's code."""
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": _import_of(self._generation)}
        super().exec_module(module)
        for value in vars(module).values():
            # Tracebacks and `retry_exceptions` know them by this name; type hints are not looked up through them.
            if isinstance(value, type) and issubclass(value, BaseException) and value.__module__ == module.__name__:
                value.__module__ = public_name(module.__name__)


def _import_of(reference: weakref.ref[Generation]) -> Any:
    def project_import(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (the protocol of __import__)
        locals: Mapping[str, object] | None = None,  # noqa: A002 (the protocol of __import__)
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        generation = reference()
        if level or generation is None:
            return builtins.__import__(name, globals, locals, tuple(fromlist or ()), level)
        return generation.import_for(name, fromlist, globals, locals)

    return project_import


class _Finder(MetaPathFinder):
    """Finds the modules of all generations."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The import system's question."""
        if not fullname.startswith(_PREFIX):
            return None
        generation = _generations.get(fullname.partition(".")[0])
        return generation.spec(fullname) if generation else None


_finder = _Finder()


def _install_finder() -> None:
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)


def _forget(package: str) -> None:
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]


def _inside(location: Path) -> list[str] | None:
    return [str(location.parent)] if location.name == "__init__.py" else None


def _stamp(file: str) -> tuple[int, int]:
    try:
        status = Path(file).stat()
    except OSError:
        return (0, 0)
    return status.st_mtime_ns, status.st_size
