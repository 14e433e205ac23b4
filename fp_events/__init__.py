"""Data pipelines on MQTT messages."""

__version__ = "0.1.0"

#: Type checkers hold this name for true; `typing` would double the time of the import.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from .nodes import cached as cached
    from .nodes import retry as retry
    from .nodes import timeout as timeout
    from .nodes import when as when

#: Public name -> the module that has it. Imported when first asked for: `import fp_events` stays cheap.
_LAZY = {
    "cached": "nodes",
    "retry": "nodes",
    "timeout": "nodes",
    "when": "nodes",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
