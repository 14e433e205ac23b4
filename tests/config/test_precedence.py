"""Which of several sources decides a setting."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from .projects import loaded, write

_KEYS = st.sampled_from(["a", "b", "c"])
_LEAVES = st.one_of(
    st.integers(-5, 5), st.booleans(), st.text("xyz", max_size=3), st.lists(st.integers(0, 3), max_size=2)
)
_TREES: st.SearchStrategy[dict[str, Any]] = st.recursive(
    st.dictionaries(_KEYS, _LEAVES, max_size=3),
    lambda inner: st.dictionaries(_KEYS, st.one_of(_LEAVES, inner), max_size=3),
    max_leaves=8,
)


def _leaves(tree: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Paths of all values that are no blocks with something in them."""
    found: dict[tuple[str, ...], Any] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            found |= _leaves(value, (*path, key))
        else:
            found[*path, key] = value
    return found


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


def _decided_above(higher: list[dict[str, Any]], path: tuple[str, ...]) -> bool:
    """Whether a higher tree names the path, something inside it, or a value in place of a block around it."""
    for tree in higher:
        for other in _leaves(tree):
            length = min(len(other), len(path))
            if other[:length] == path[:length]:
                return True
        if _names_block(tree, path):
            return True
    return False


def _names_block(tree: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(tree, dict) or part not in tree:
            return False
        tree = tree[part]
    return True


@given(trees=st.lists(_TREES, min_size=4, max_size=4))
def test_any_overlay_keeps_precedence(trees: list[dict[str, Any]]) -> None:
    """File, overlay, environment, command: each value stands unless a higher source says something of its path."""
    # The lowest first. YAML reads JSON.
    file, overlay, environment, command = trees
    with tempfile.TemporaryDirectory() as folder:
        root = write(
            Path(folder),
            a=json.dumps({"run": {"config": file}}),
            env_a=json.dumps({"run": {"config": overlay}}),
        )
        config = loaded(
            root,
            {"FP_EVENTS_PIPELINES__A__RUN__CONFIG": json.dumps(environment)} if environment else {},
            environment="prod",
            overrides={"pipelines": {"a": {"run": {"config": command}}}},
        )

    merged = config.pipelines["a"].config
    named: set[tuple[str, ...]] = set()
    for level, tree in enumerate(trees):
        for path, value in _leaves(tree).items():
            named.add(path)
            if not _decided_above(trees[level + 1 :], path):
                assert (path, value) == (path, _at(merged, path))
    assert set(_leaves(dict(merged))) <= named


def test_each_level_wins_over_the_one_below(tmp_path: Path) -> None:
    """Default, project, pipeline, overlay, environment, command, each for one pipeline above for all."""
    root = write(
        tmp_path,
        project="run: {max_retries: 1}\n",
        a="run: {max_retries: 2}\n",
        env_project="run: {max_retries: 3}\n",
        env_a="run: {max_retries: 4}\n",
    )
    every = {"FP_EVENTS_RUN__MAX_RETRIES": "5"}
    one = {"FP_EVENTS_PIPELINES__A__RUN__MAX_RETRIES": "6"}

    def retries(environ: dict[str, str] | None = None, **options: Any) -> int:
        return loaded(root, environ, **options).pipelines["a"].retry.max_retries

    found = [
        retries(),
        retries(environment="prod"),
        retries(every, environment="prod"),
        retries(every | one, environment="prod"),
        retries(every | one, environment="prod", overrides={"run": {"max_retries": 7}}),
        retries(every | one, overrides={"run": {"max_retries": 7}, "pipelines": {"a": {"run": {"max_retries": 8}}}}),
    ]
    (root / "conf/env/prod/pipelines/a.yml").unlink()
    found.append(retries(environment="prod"))
    (root / "conf/pipelines/a.yml").unlink()
    found.append(retries())
    (root / "conf/project.yml").unlink()
    found.append(retries())

    assert [2, 4, 5, 6, 7, 8, 3, 1, 0] == found


def test_lists_are_replaced_and_blocks_merged(tmp_path: Path) -> None:
    """An overlay that lists triggers has all of them; one that names a block's key leaves its neighbours."""
    root = write(
        tmp_path,
        a="triggers: [{topic: x}, {topic: y}]\nrun: {executor: threadpool, timeout: 5s}\n",
        env_a="triggers: [{topic: z}]\nrun: {executor: {max_workers: 3}, timeout: null}\n",
    )

    pipeline = loaded(root, environment="prod").pipelines["a"]

    assert ["z"] == [trigger.topic for trigger in pipeline.triggers]
    assert pipeline.executor is not None
    assert ("threadpool", 3, None) == (pipeline.executor.type, pipeline.executor.max_workers, pipeline.timeout)


def test_an_empty_block_in_an_overlay_takes_nothing_away(tmp_path: Path) -> None:
    """A null block stands for an empty one."""
    root = write(tmp_path, a="run: {timeout: 5s}\noutputs: [alert]\n", env_a="run:\noutputs:\n")

    pipeline = loaded(root, environment="prod").pipelines["a"]

    assert (5.0, 1) == (pipeline.timeout, len(pipeline.outputs))
