"""``run``: how a pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .blocks import New, Old, is_empty
from .report import Kind

_PLAIN: Final = ("config", "final_vars")
_RETRY: Final = ("max_retries", "retry_delay", "jitter_factor", "retry_exceptions")
#: What FlowerPower writes for itself, or for calls from Python.
_SILENT: Final = (
    "pipeline_adapter_cfg", "project_adapter_cfg", "adapter", "explicit_overrides", "executor_override_raw",
    "with_adapter_override_raw", "retry_override_raw", "pipeline_adapter_cfg_override_raw",
    "project_adapter_cfg_override_raw",
)  # fmt: skip
_SWITCHES: Final = {
    "with_tracker": "hamilton_tracker",
    "with_opentelemetry": "opentelemetry",
    "with_progressbar": "progressbar",
}
_DOUBLED = (
    "FlowerPower's releases double this with each retry, its guide does not, nor does this;\n"
    "`retry_backoff: exponential` doubles it"
)


def run_block(old: Old, new: New) -> None:
    """Translate a ``run`` block; inputs are dealt with elsewhere, by what the module takes."""
    for name in _PLAIN:
        value = old.take(name)
        if not is_empty(value):
            new.put(old, name, value, ("run", name))
    _executor(old, new)
    _adapters(old, new)
    cache = old.take("cache")
    if not is_empty(cache):
        new.put(old, "cache", cache, ("run", "cache"))
    level = old.take("log_level")
    if level:
        new.put(old, "log_level", str(level).upper() if not str(level).startswith("$") else level, ("run", "log_level"))
    _retries(old, new)
    _callbacks(old, new)
    _rest(old)


def _executor(old: Old, new: New) -> None:
    value = old.left.get("executor")
    if isinstance(value, str):
        old.take("executor")
        new.put(old, "executor", _type(value), ("run", "executor", "type"))
        return
    block = old.block("executor")
    named = block.take("type")
    kind = _type(named) if named else None
    if kind is not None:
        new.put(block, "type", kind, ("run", "executor", "type"))
    workers, cpus = block.take("max_workers"), block.take("num_cpus")
    if workers is not None and kind == "local":
        block.tell(Kind.DROPPED, "max_workers", workers, note="the executor `local` has no workers")
    elif workers is not None:
        if kind is None:
            new.set(("run", "executor", "type"), "threadpool")
        new.put(block, "max_workers", workers, ("run", "executor", "max_workers"))
    if cpus is not None and kind in {"ray", "dask"}:
        new.put(block, "num_cpus", cpus, ("run", "executor", "num_cpus"))
    elif cpus is not None:
        block.tell(Kind.DROPPED, "num_cpus", cpus, note=f"the executor `{kind or 'threadpool'}` takes no CPUs")
    block.end()


def _type(name: str) -> str:
    """FlowerPower takes `synchronous`, and what it does not know, for `local`; APScheduler's `async` is our loop."""
    return {"synchronous": "local", "async": "local"}.get(name, name)


def _adapters(old: Old, new: New) -> None:
    for before, after in _SWITCHES.items():
        value = old.take(before)
        if value:
            new.put(old, before, value, ("run", "with_adapter", after))
    block = old.block("with_adapter")
    if block.take("future"):
        note = "no counterpart: nodes that await run beside each other, and runs on the pool of `run.executor`"
        block.tell(Kind.TODO, "future", True, note=note)
    for name in list(block.left):
        value = block.take(name)
        # Off is what they are where nothing is said.
        if value:
            new.put(block, name, value, ("run", "with_adapter", "hamilton_tracker" if name == "tracker" else name))


def _retries(old: Old, new: New) -> None:
    nested = old.block("retry")
    for block in (nested, old):
        for name in _RETRY:
            value = block.take(name)
            if value is None or new.get(("run", name)) is not None:
                continue
            if name == "retry_exceptions":
                value = [_exception(item) for item in (value if isinstance(value, list) else [value])]
                if not value:
                    continue
            comment = _DOUBLED if name == "retry_delay" and _tries_again(nested, old, new) else ""
            new.put(block, name, value, ("run", name), comment=comment)
    nested.end()


def _tries_again(nested: Old, old: Old, new: New) -> bool:
    counts = [new.get(("run", "max_retries")), *(block.left.get("max_retries") for block in (nested, old))]
    return any(isinstance(count, int) and count > 1 for count in counts)


def _exception(name: Any) -> str:
    """An exception's name; `<class 'ValueError'>` is how some versions wrote it."""
    text = str(name)
    return text.removeprefix("<class '").removesuffix("'>")


def _callbacks(old: Old, new: New) -> None:
    for name in ("on_success", "on_failure"):
        value = old.take(name)
        if is_empty(value):
            continue
        text = value.get("func") if isinstance(value, Mapping) else value
        if isinstance(text, str) and ":" not in text and "." in text:
            text = ":".join(text.rsplit(".", 1))
        if isinstance(text, str):
            comment = "it is called with a record of the run, not with its result"
            new.put(old, name, text, ("run", name), comment=comment)
        else:
            old.tell(Kind.TODO, name, value, note=f"write `{name}: hooks.<module>:<function>`")


def _rest(old: Old) -> None:
    old.drop(*_SILENT)
    if old.take("reload"):
        old.tell(Kind.DROPPED, "reload", True, note="`fp-events reload`, or `fp-events serve --watch`, takes new code")
    modules = old.take("additional_modules")
    if modules:
        note = "a pipeline is one module: copy the functions of these modules into it, or generate them there"
        old.tell(Kind.TODO, "additional_modules", modules, note=note)
    driver = old.take("async_driver")
    if driver is not None:
        old.tell(Kind.DROPPED, "async_driver", driver, note="functions that are `async def` are awaited by themselves")
    result = old.take("result_ttl")
    if result:
        old.tell(
            Kind.TODO, "result_ttl", result, note="`ledger.retention.runs` says for all runs how long values are kept"
        )
    old.end()
