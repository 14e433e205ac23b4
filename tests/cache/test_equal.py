"""What is kept equals what is computed, under every decorator of Hamilton's that the plans know."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fp_events.app.caching import ExactCodec
from fp_events.cache import Caches
from fp_events.domain.caching import CacheSpec
from fp_events.domain.pipeline import Pipeline
from fp_events.plans.catalogue import Catalogue
from tests.plans.comparing import same
from tests.plans.test_equal_to_driver import CASES, ROOT, Case


@pytest.mark.parametrize("case", [case for case in CASES if not case.failing], ids=str)
def test_a_kept_value_is_the_computed_one(case: Case, tmp_path: Path) -> None:
    """Run without a cache, with an empty one, and with one that has it all."""

    def run(enabled: bool) -> tuple[Any, dict[str, int]]:
        caches = Caches()
        catalogue = Catalogue(
            ROOT, store=lambda name, spec: caches.store(name, str(tmp_path), spec.max_bytes, ExactCodec())
        )
        pipeline = Pipeline(
            name=case.module,
            module=f"tests.plans.modules.{case.module}",
            config=case.config,
            cache=CacheSpec(enabled=enabled),
        )
        pipeline = replace(pipeline, final_vars=tuple(catalogue.graph(pipeline).computed()))
        random.seed(7)
        plan = catalogue.plan(pipeline, overrides=tuple(case.overrides))
        return plan.execute({**case.inputs, **case.overrides}), caches.counts().get(case.module, {})

    computed, _ = run(False)
    first, _ = run(True)
    again, counts = run(True)
    # Each look at the project's files has classes of its own, which are not equal.
    assert same(computed, first) or repr(computed) == repr(first)
    assert same(computed, again) or repr(computed) == repr(again)
    assert counts.get("hits", 0) > 0
    assert "damaged" not in counts
