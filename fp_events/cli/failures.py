"""How an error ends the program: one sentence on stderr and an exit code."""

from __future__ import annotations

import os
import sys

import typer

from fp_events.domain.errors import ConfigError, FpEventsError, StorageError, UsageError

from .output import safe

#: A defect of this program (sysexits.h, EX_SOFTWARE).
SOFTWARE = 70
#: Interrupted from the keyboard: 128 + SIGINT.
INTERRUPTED = 130

# Typer keeps Click's base classes to itself, and where they live differs by version; this is their public heir.
_TYPER_ERROR = typer.BadParameter.__mro__[2]


def report(error: BaseException, *, debug: bool) -> int:
    """Say what went wrong and return the exit code."""
    if debug and isinstance(error, Exception) and not isinstance(error, _TYPER_ERROR):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        # The reader went away, as `head` does. Without this, closing stdout raises it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    for line in _lines(error):
        print(f"error: {safe(line)}", file=sys.stderr)
    return _exit_code(error)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, FpEventsError):
        return error.exit_code
    if isinstance(error, OSError):
        return StorageError.exit_code
    if isinstance(error, _TYPER_ERROR):
        return UsageError.exit_code
    return SOFTWARE


def _lines(error: BaseException) -> list[str]:
    if isinstance(error, ConfigError):
        return [str(problem) for problem in error.problems]
    if isinstance(error, _TYPER_ERROR):
        return [_usage_sentence(error)]
    if isinstance(error, OSError) and not isinstance(error, FpEventsError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        return [f"{where}{error.strerror}"]
    if not isinstance(error, FpEventsError):
        return [f"this is a defect of fp-events: {type(error).__name__}: {error}; --debug shows where"]
    return [str(error)]


def _usage_sentence(error: BaseException) -> str:
    format_message = getattr(error, "format_message", error.__str__)
    what = str(format_message()).strip().removesuffix(".").replace(". Did you mean", "; did you mean")
    # The kind of error behind it says nothing to a reader.
    what = what.replace(": Value error, ", ": ")
    if what.endswith("?"):
        return what
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "fp-events"
    return f"{what}; see `{path} --help`"
