"""FlowerPower projects that cannot be migrated."""

from __future__ import annotations

from collections.abc import Mapping

from .case import Case

NOTHING = {"conf/project.yml": None, "conf/pipelines/alerts.yml": None, "pipelines/alerts.py": None}


def _case(wrong: str, files: Mapping[str, str], says: str, *arguments: str, code: int = 64) -> Case:
    return Case(
        wrong=wrong, files={**NOTHING, **files}, arguments=("migrate", *(arguments or ("old",))), says=says, code=code
    )


CASES = (
    _case(
        "`migrate` of a folder that is not there",
        {},
        "error: <folder>/old is no folder; name the folder of a FlowerPower project, which has `conf`",
    ),
    _case(
        "`migrate` of a folder without a FlowerPower project",
        {"old/main.py": ""},
        "error: there is no FlowerPower project in <folder>/old: neither conf/project.yml nor conf/pipelines; name the folder that has `conf`",
    ),
    _case(
        "`migrate` of a project that was migrated",
        {"old/conf/project.yml": "name: plant\nmqtt:\n  url: embedded\n"},
        "error: <folder>/old: it is a project of fp-events already, as `mqtt.url` at conf/project.yml:3 says; try `fp-events check`",
    ),
    _case(
        "`migrate` of a file that is no YAML",
        {"old/conf/project.yml": "name: plant\n  adapter: [1\n"},
        "error: conf/project.yml:2: is not YAML: mapping values are not allowed in this context; mend the line",
        code=78,
    ),
    _case(
        "`migrate` into the old project",
        {"old/conf/project.yml": "name: plant\n"},
        "error: <folder>/old/new is inside the old project; name a folder beside it with --output",
        "old",
        "--output",
        "old/new",
    ),
    _case(
        "`migrate` into a folder that is there",
        {"old/conf/project.yml": "name: plant\n", "new/README.md": "mine\n"},
        "error: <folder>/new is there already; name a new folder with --output, or remove it",
        "old",
        "--output",
        "new",
    ),
)
