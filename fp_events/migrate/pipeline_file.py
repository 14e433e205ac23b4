"""``conf/pipelines/<name>.yml``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Final

from fp_events.domain.errors import ConfigError

from .adapters_block import adapter_block, one_adapter
from .blocks import New, Old, is_empty
from .layouts import OldPipeline, OldProject
from .modules import Module
from .reading import OldFile
from .report import Judge, Kind, Migration
from .rewriting import Rewriting, Rewritten
from .run_block import run_block
from .schedule_block import schedule_block, shared_schedule

_FIRES: Final = (
    "it fires as soon as a daemon serves the project, without `schedule_all`; `enabled: false` keeps it back"
)
#: The environment whose settings become the pipeline's own; others become overlays.
_MAIN: Final[Sequence[str]] = ("prod", "production", "default", "dev")


class PipelineFile:
    """One pipeline on its way: its settings, and its module."""

    def __init__(self, found: OldProject, pipeline: OldPipeline, migration: Migration, judge: Judge) -> None:
        self._found = found
        self._pipeline = pipeline
        self._migration = migration
        self._judge = judge
        self.new = New(f"conf/pipelines/{pipeline.name}.yml", "pipeline", judge)
        #: Environment -> what is different there.
        self.overlays: dict[str, New] = {}
        self.module = Module(pipeline.module or "", _text(found, pipeline))

    def translate(self, local: set[str]) -> Rewritten:
        """Fill `new` and `overlays`; the module's new text. `local` are the modules of ``pipelines/``."""
        runs, rest = self._old_blocks()
        params = rest.take("params") or rest.take("func") or {}
        if not isinstance(params, Mapping):
            rest.tell(Kind.TODO, "params", params, note="it must be a block of names and values")
        rest.drop("h_params", "hamilton_func_params", "name")
        settings = {"params": params if isinstance(params, Mapping) else {}}
        main = next(iter(runs.values()), None)
        for name in ("inputs", "config"):
            given = main.left.get(name) if main is not None else None
            settings[name] = given if isinstance(given, Mapping) else {}
        rewriting = Rewriting(self.module, settings, self._migration, rest.file.name)
        done = rewriting.run(local)
        for index, (environment, run) in enumerate(runs.items()):
            new = self.new if index == 0 else New(_overlay(environment, self._pipeline), "pipeline", self._judge)
            self._filled(run, "inputs", run.take("inputs"), new, ("run", "inputs"), run.left.get("config") or {})
            run_block(run, new)
            if index:
                self._overlaid(new)
                self.overlays[environment] = new
        left = {name: value for name, value in settings["params"].items() if name not in done.moved}
        self._filled(rest, "params", {**left, **done.flat}, self.new, ("params",), settings["config"])
        self._others(rest)
        return done

    def _overlaid(self, new: New) -> None:
        """Switch off, in an environment, the adapters that only the main one had on."""
        for name, on in (self.new.get(("run", "with_adapter")) or {}).items():
            if on and new.get(("run", "with_adapter", name)) is None:
                new.set(("run", "with_adapter", name), False)

    def _old_blocks(self) -> tuple[dict[str, Old], Old]:
        """The ``run`` blocks by environment, the main one first, and all else."""
        if self._pipeline.file is not None:
            rest = Old(self._migration, self._pipeline.file)
            return {"": rest.block("run")}, rest
        shared = self._found.shared.get("pipeline")
        if shared is None:
            empty = Old(self._migration, OldFile(self._pipeline.module or self._pipeline.old_name))
            return {}, empty
        name = self._pipeline.old_name
        found: dict[str, Old] = {}
        run = shared.data.get("run")
        for first, block in (run if isinstance(run, Mapping) else {}).items():
            for second, inner in (block if isinstance(block, Mapping) else {}).items():
                # `run.<pipeline>.<environment>`; the templates had it the other way round.
                if name in (first, second):
                    environment = str(second if first == name else first)
                    found[environment] = Old(self._migration, shared, ("run", str(first), str(second)), inner or {})
        order = sorted(found, key=lambda environment: _MAIN.index(environment) if environment in _MAIN else len(_MAIN))
        params = shared.data.get("params")
        own = params.get(name) if isinstance(params, Mapping) else None
        rest = Old(self._migration, shared, ("params", name), {"params": own or {}})
        return {environment: found[environment] for environment in order}, rest

    def _filled(
        self, old: Old, key: str, given: Any, new: New, path: tuple[str, ...], config: Mapping[str, Any]
    ) -> None:
        """Write the values that a function takes; the others are refused here, and were ignored there."""
        if is_empty(given):
            return
        if not isinstance(given, Mapping):
            old.tell(Kind.TODO, key, given, note="it must be a block of names and values")
            return
        kept = {}
        for name, value in given.items():
            where, full = old.file.where((*old.path, key, str(name))), f"{old.key(key)}.{name}"
            why = self._useless(str(name), config)
            if why:
                self._migration.tell(Kind.DROPPED, where, full, value, note=why)
                continue
            kept[name] = value
            if isinstance(value, date):
                note = "YAML 1.2 has no dates: the function is given text"
                shown = f"{'.'.join(path)}.{name}: {value.isoformat()!r}"
                self._migration.tell(Kind.MEANING, where, full, value, shown, note)
        if kept:
            new.set(path, kept)
        if self._pipeline.file is None and kept and path != ("params",):
            shown = f"{new.file}: {'.'.join(path)}"
            self._migration.tell(Kind.CHANGED, old.where(key), old.key(key), given, shown)

    def _useless(self, name: str, config: Mapping[str, Any]) -> str:
        """Why a value would fill nothing; empty: it fills an input."""
        if self._pipeline.module and self.module.broken is None and not self.module.takes(name):
            return "a function computes it" if name in self.module.functions else "no function takes it"
        # Where both have it, Hamilton takes its configuration's.
        return "`run.config` has it too, and wins" if name in config else ""

    def _others(self, rest: Old) -> None:
        """Schedule, adapters, tracker."""
        scheduler, tracker = self._found.shared.get("scheduler"), self._found.shared.get("tracker")
        name = self._pipeline.old_name
        if self._pipeline.file is not None:
            schedule_block(rest.block("schedule"), self.new)
            adapter_block(rest.block("adapter"), self.new)
            one_adapter(rest.block("tracker"), "hamilton_tracker", self.new)
            rest.end()
        if scheduler is not None and isinstance(scheduler.data.get("pipeline"), Mapping):
            block = scheduler.data["pipeline"].get(name)
            if block:
                shared_schedule(Old(self._migration, scheduler, ("pipeline", name), block), self.new)
        if self.new.get(("schedule",)):
            where = self._pipeline.file.where(("schedule",)) if self._pipeline.file else self._pipeline.old_name
            self._migration.tell(Kind.MEANING, where, "schedule", "", f"{self.new.file}: schedule", _FIRES)
        if tracker is not None and isinstance(tracker.data.get("pipeline"), Mapping):
            block = tracker.data["pipeline"].get(name)
            if block:
                one_adapter(Old(self._migration, tracker, ("pipeline", name), block), "hamilton_tracker", self.new)


def _text(found: OldProject, pipeline: OldPipeline) -> str:
    if pipeline.module is None:
        return ""
    try:
        return (found.root / pipeline.module).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError("is not UTF-8 text", where=pipeline.module, mend="save it as UTF-8") from error


def _overlay(environment: str, pipeline: OldPipeline) -> str:
    return f"conf/env/{environment}/pipelines/{pipeline.name}.yml"
