"""Pipelines that would feed themselves: what one publishes, or makes the daemon tell, one of its triggers takes in."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import product

from .errors import Problem
from .pipeline import Output, Pipeline, Trigger
from .templates import parse_topic
from .topics import covers, overlaps, parse_filter

#: Pipeline -> filters of topics.
Topics = Callable[[str], Iterable[str]]


def feedback_loops(pipelines: Iterable[Pipeline], result_topic: Callable[[str, str], str]) -> list[Problem]:
    """A problem for every loop of publishing and triggering.

    A pipeline that may trigger itself is an error where it certainly does (a trigger takes in every topic that
    the output's can be), else a warning: a value may keep the two apart.
    """
    known = list(pipelines)
    feeds: dict[str, set[str]] = {pipeline.name: set() for pipeline in known}
    problems = []
    for source, target in product(known, known):
        for output, trigger in product(source.outputs, target.triggers):
            topics = published(source, output, result_topic)
            if not overlaps(topics, parse_filter(trigger.topic).filter):
                continue
            feeds[source.name].add(target.name)
            if source is target:
                problems.append(_itself(source, output, trigger, certain=_certain(source, output, trigger, topics)))
    problems.extend(_longer(known, feeds))
    return problems


def daemon_loops(pipelines: Iterable[Pipeline], always: Topics, at_times: Topics) -> list[Problem]:
    """A problem for every trigger that takes in what the daemon publishes about its own pipeline.

    `always`: filters of what each run makes it publish, an error; `at_times`: of what some do, a warning.
    """
    problems = []
    for pipeline in pipelines:
        for trigger in pipeline.triggers:
            hit = _first_overlap(trigger, always(pipeline.name))
            told = hit or _first_overlap(trigger, at_times(pipeline.name))
            if told is not None:
                verb = "triggers" if hit else "may trigger"
                problems.append(
                    Problem(
                        what=f"what the daemon tells of '{pipeline.name}' on {told} {verb} it again ({trigger.topic})",
                        where=trigger.where or pipeline.where,
                        mend="name the topics of your devices more narrowly",
                        warning=hit is None,
                    )
                )
    return problems


def _first_overlap(trigger: Trigger, filters: Iterable[str]) -> str | None:
    wanted = parse_filter(trigger.topic).filter
    return next((text for text in filters if overlaps(wanted, text)), None)


def _certain(pipeline: Pipeline, output: Output, trigger: Trigger, topics: str) -> bool:
    """Whether the trigger takes in whatever the output publishes: values of the run could hold any levels."""
    captures = {name for each in pipeline.triggers for name in parse_filter(each.topic).captures}
    names = parse_topic(output.topic).names if output.topic is not None else frozenset()
    if output.topic == "{topic}":
        return True
    return names <= captures | {"topic", "pipeline"} and covers(trigger.topic, topics)


def published(pipeline: Pipeline, output: Output, result_topic: Callable[[str, str], str]) -> str:
    """A filter for all topics that an output may publish to."""
    if output.topic is None:
        return result_topic(pipeline.name, output.node)
    rest = {name for trigger in pipeline.triggers for name in _rest(trigger)}
    return parse_topic(output.topic).as_filter(rest)


def _rest(trigger: Trigger) -> list[str]:
    """Captures that may hold several levels."""
    pattern = parse_filter(trigger.topic)
    return [name for name in pattern.captures if f"{{{name}#}}" in pattern.text]


def _itself(pipeline: Pipeline, output: Output, trigger: Trigger, *, certain: bool) -> Problem:
    verb = "triggers" if certain else "may trigger"
    return Problem(
        what=f"what '{pipeline.name}' publishes from node '{output.node}' {verb} it again ({trigger.topic})",
        where=output.where or pipeline.where,
        mend="publish to a topic that no trigger of it matches",
        warning=not certain,
    )


def _longer(pipelines: list[Pipeline], feeds: dict[str, set[str]]) -> list[Problem]:
    """Loops over two and more pipelines: one warning each, by depth-first search."""
    problems: list[Problem] = []
    seen: set[frozenset[str]] = set()
    for pipeline in pipelines:
        stack: list[tuple[str, ...]] = [(pipeline.name,)]
        while stack:
            path = stack.pop()
            for name in sorted(feeds[path[-1]]):
                if name == path[0] and len(path) > 1 and frozenset(path) not in seen:
                    seen.add(frozenset(path))
                    loop = " -> ".join((*path, name))
                    problems.append(
                        Problem(
                            what=f"pipelines trigger each other in a loop: {loop}",
                            where=pipeline.where,
                            mend="make sure that one of them publishes nothing in the end",
                            warning=True,
                        )
                    )
                elif name not in path and name > path[0]:
                    stack.append((*path, name))
    return problems
