"""docs/errors.md from the cases that are tested: ``python -m tests.wrong_inputs.write_docs`` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from .cases import LIVE, LIVE_SECTION, SECTIONS
from .messages import MESSAGES, REQUESTS

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"

_HEAD = """\
# Errors

An error is one sentence on stderr: where it is, what is wrong, and after the semicolon how to mend it. A traceback is
shown only with `--debug`. `fp-events check` finds all that is wrong with configuration and pipelines at once, without
connecting to anything; `serve` refuses to start with any of it, before it takes in a message.

| exit code | means |
|---|---|
| 0 | done, or drained |
| 1 | the run failed |
| 64 | the command line is wrong |
| 69 | the broker, the daemon or Redis does not answer or says no |
| 70 | a defect of this program |
| 74 | a file or folder cannot be used |
| 75 | another process holds the ledger |
| 78 | configuration or pipeline code is wrong |

A daemon that runs does not end because of a broker that is away, a wrong password, or a wrong message: it logs the
sentence, and goes on.

Each line below is a test: `tests/wrong_inputs/` makes the mistake and compares the sentence. What stands in `<>`
differs from case to case.
"""

_MESSAGES = """
## Messages

Such a message is acknowledged, kept, and ends as a dead letter with its payload as it was. `fp-events dlq list` shows
the sentence, `fp-events dlq retry` runs it again when the pipeline is mended.

| what was wrong | the sentence | outcome |
|---|---|---|
"""

_REQUESTS = """
## Requests on control topics

The sentence is in the reply, as `what`, `where` and `mend`.

| what was wrong | the sentence |
|---|---|
"""


def document() -> str:
    """The whole of docs/errors.md."""
    return _HEAD + "".join(_parts())


def _parts() -> Iterator[str]:
    for title, cases in {**SECTIONS, LIVE_SECTION: LIVE}.items():
        yield f"\n## {title}\n\n| what was wrong | the sentence | exit code |\n|---|---|---|\n"
        for case in cases:
            code = "goes on" if case.event else case.code
            yield from _row(case.wrong, _code(case.says), str(code))
    yield _MESSAGES
    for message in MESSAGES:
        yield from _row(message.wrong, _code(message.says), message.outcome)
    yield _REQUESTS
    for request in REQUESTS:
        yield from _row(request.wrong, _code(request.says))


def _row(*cells: str) -> Iterable[str]:
    yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _code(says: str) -> str:
    """A sentence as code, whatever quotes it holds."""
    sentence = says.removeprefix("error: ")
    return f"`` {sentence} ``" if "`" in sentence else f"`{sentence}`"


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
