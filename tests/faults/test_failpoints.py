"""Where a daemon can be told to die."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from fp_events.domain.errors import UsageError
from fp_events.failpoints import STEPS, VARIABLE, failpoint


def test_without_the_variable_there_is_none() -> None:
    """Nor with an empty one."""
    assert failpoint({}) is None
    assert failpoint({VARIABLE: ""}) is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("comitted:3", f"{VARIABLE}: there is no step 'comitted' to fail at; did you mean 'committed'?"),
        ("x:3", f"{VARIABLE}: there is no step 'x' to fail at; there are: {', '.join(STEPS)}"),
        ("sent", f"{VARIABLE}: 'sent' does not say which passing; write sent:1, or a later one"),
        ("sent:0", f"{VARIABLE}: 'sent:0' does not say which passing; write sent:1, or a later one"),
    ],
)
def test_a_wrong_one_is_told(text: str, says: str) -> None:
    """With what could be meant."""
    with pytest.raises(UsageError) as error:
        failpoint({VARIABLE: text})

    assert says == str(error.value)


@pytest.mark.parametrize("passings", [1, 3])
def test_the_process_dies_at_the_passing_that_was_asked_for(passings: int) -> None:
    """Not at earlier ones, and not at those of other steps."""
    program = f"""
from fp_events.failpoints import Failpoint
point = Failpoint("sent", {passings})
for number in range(10):
    point.passed("claimed")
    print(number, flush=True)
    point.passed("sent")
"""
    died = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert (-signal.SIGKILL, passings) == (died.returncode, len(died.stdout.split()))
