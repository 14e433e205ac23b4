"""docs/configuration.md says what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from fp_events.config.reference import embed

from .projects import MODULE, loaded

DOCUMENT = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_reference_is_in_step() -> None:
    """To mend: python -m fp_events.config.reference docs/configuration.md."""
    text = DOCUMENT.read_text(encoding="utf-8")

    assert embed(text) == text


def test_the_examples_load(tmp_path: Path) -> None:
    """The files printed there are a project, with and without the overlay, and so are the variables."""
    text = DOCUMENT.read_text(encoding="utf-8")
    examples = dict(re.findall(r"```yaml\n# (conf/\S+)\n(.*?)```", text, re.S))
    for file, content in {**examples, "pipelines/overheating.py": MODULE}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(content)
    [shell] = re.findall(r"```sh\n(FP_EVENTS.*?)```", text, re.S)
    environ = dict(re.findall(r"^(FP_EVENTS\w+)='?([^'#\n]*?)'?(?: +#.*)?$", shell, re.M))

    production, development = loaded(tmp_path), loaded(tmp_path, environment="dev")
    changed = loaded(tmp_path, environ).pipelines["overheating"]

    assert 3 == len(examples)
    assert ("mqtts://broker.example", "embedded") == (production.mqtt.url, development.mqtt.url)
    assert (80.0, 30.0) == (
        production.pipelines["overheating"].inputs["threshold"],
        production.pipelines["overheating"].timeout,
    )
    assert (5.0, {"depth": 5}, 0) == (changed.timeout, changed.params["smoothing"], changed.outputs[0].qos)


def test_importing_the_domain_imports_no_pydantic() -> None:
    """The command line's help must not wait for it."""
    code = "import fp_events, fp_events.domain.pipeline, sys; print('pydantic' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == done.stdout.strip()
