"""FlowerPower's own examples, migrated and run; their values are those of Hamilton's driver.

    git clone --depth 1 https://github.com/legout/flowerpower
    python -m tests.migrate.public_projects flowerpower

The examples are not ours to ship. Their libraries (pandas, loguru, …) must be there; what is missing is said. The old
modules run with FlowerPower where it is installed, else with the stand-in of `driver.py`.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from fp_events import Project, config
from fp_events.cli.main import main as program

from .driver import expected

#: Folder below ``examples`` -> its pipeline, as far as a checkout has it: those that need neither a network nor a
#: trained model. The last four are of older releases, such as v0.6.0 and v0.10.2.
EXAMPLES = {
    "hello-world/base": "hello_world",
    "data-etl-pipeline": "sales_etl",
    "pipeline-only-example": "text_processor",
    "_hello_world": "my_flow",
    "hello-world": "hello_world",
    "apscheduler/hello-world": "hello_world",
    "rq/hello-world": "hello_world",
}
#: Keys of values that hold the time at which they were computed.
CLOCK = {"completed_at", "processing_time", "output_file", "saved_to"}


def compare(checkout: Path, example: str, pipeline: str) -> list[str]:
    """Migrate a copy of an example and run it; the names of its outputs, all of which are equal."""
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "old", Path(folder) / "new"
        shutil.copytree(checkout / "examples" / example, old)
        code = program(["migrate", str(old), "--output", str(new), "--format", "json"])
        assert code == 0, f"{example}: `fp-events migrate` ended with {code}"
        asked = config.load(new, environ={}).pipelines[pipeline]
        outputs = list(asked.final_vars)
        theirs = expected(old, f"pipelines/{pipeline}.py", outputs, inputs=asked.inputs, config=asked.config)
        with Project.load(new) as project:
            ours = project.run(pipeline)
        assert set(outputs) == set(ours)
        different = [name for name in outputs if not same(theirs[name], ours[name], old, new)]
        assert not different, f"{example}: {different}"
        return outputs


def same(theirs: Any, ours: Any, old: Path, new: Path) -> bool:
    """Whether two values are equal; paths are, where both lead to the same place below their project."""
    import pandas as pd

    if isinstance(theirs, pd.DataFrame | pd.Series):
        return bool(theirs.equals(ours))
    if isinstance(theirs, dict):
        kept = theirs.keys() - CLOCK
        return set(kept) == set(ours) - CLOCK and all(same(theirs[name], ours[name], old, new) for name in kept)
    if isinstance(theirs, str):
        return theirs.replace(str(old), "") == str(ours).replace(str(new), "")
    return bool(theirs == ours)


def main(checkout: str) -> None:
    """Compare all of them."""
    used = "FlowerPower" if importlib.util.find_spec("flowerpower") else "a stand-in for FlowerPower"
    print(f"the old modules run with {used}", file=sys.stderr)
    for example, pipeline in EXAMPLES.items():
        if not (Path(checkout) / "examples" / example / "conf").is_dir():
            continue
        outputs = compare(Path(checkout), example, pipeline)
        print(f"{example}: {len(outputs)} outputs of {pipeline} equal: {', '.join(outputs)}", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
