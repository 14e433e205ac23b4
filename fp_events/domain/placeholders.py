"""Names in templates and paths that no message could fill, found before one comes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches

from .errors import Problem
from .mapping import parse_path
from .pipeline import Pipeline
from .templates import Template, parse, parse_topic
from .topics import RESERVED_NAMES, parse_filter

#: What there is when a run's key is made: the message, and no more.
_BEFORE_THE_RUN = frozenset({"payload", "message", "topic", "pipeline"})


def unfilled_names(pipeline: Pipeline) -> Iterator[Problem]:
    """A problem for every name in `key`, `identity` and outputs' topics that some trigger's messages lack.

    The paths of `map` are compared with the plan's inputs, by whoever knows the plan.
    """
    yield from _keys(pipeline)
    yield from _identities(pipeline)
    yield from _topics(pipeline)


def _keys(pipeline: Pipeline) -> Iterator[Problem]:
    for index, trigger in enumerate(pipeline.triggers):
        if trigger.key is None:
            continue
        where = pipeline.origins.get(f"triggers[{index}].key") or trigger.where
        template = parse(trigger.key)
        for name in sorted(template.names & RESERVED_NAMES - _BEFORE_THE_RUN):
            what = f"`key` names {{{name}}}, which there is only after the run"
            yield Problem(what=what, where=where, mend="take it from the topic or the payload")
        yield from _lacking("key", _captures_in(template), trigger.topic, where)


def _identities(pipeline: Pipeline) -> Iterator[Problem]:
    for index, trigger in enumerate(pipeline.triggers):
        name = parse_path(trigger.identity).capture if trigger.identity is not None else None
        if name is not None:
            where = pipeline.origins.get(f"triggers[{index}].identity") or trigger.where
            yield from _lacking("identity", [name], trigger.topic, where)


def _topics(pipeline: Pipeline) -> Iterator[Problem]:
    for index, output in enumerate(pipeline.outputs):
        if output.topic is None:
            continue
        where = pipeline.origins.get(f"outputs[{index}].topic") or output.where
        names = _captures_in(parse_topic(output.topic))
        # Without triggers, inputs that come with a command fill the placeholders.
        for topic in dict.fromkeys(trigger.topic for trigger in pipeline.triggers):
            yield from _lacking(f"outputs[{index}].topic", names, topic, where)


def _captures_in(template: Template) -> list[str]:
    return sorted(template.names - RESERVED_NAMES)


def _lacking(setting: str, names: Iterable[str], topic: str, where: str) -> Iterator[Problem]:
    known = parse_filter(topic).captures
    for name in names:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1)
        choice = f"it captures {', '.join(known)}" if known else f"capture a level of it as {{{name}}}"
        yield Problem(
            what=f"`{setting}` names '{name}', which topic '{topic}' does not capture",
            where=where,
            mend=f"did you mean '{near[0]}'?" if near else choice,
        )
