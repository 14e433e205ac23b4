"""Pipelines that would feed themselves: what one publishes, or makes the daemon tell, one of its triggers takes in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from .errors import Problem
from .pipeline import Output, Pipeline, Trigger
from .templates import parse_topic
from .topic_levels import Levels, overlap, share_and_levels
from .topic_trie import FilterTrie
from .topics import covers, parse_filter

#: Pipeline -> filters of topics.
Topics = Callable[[str], Iterable[str]]
#: Pipeline and node -> the topic of a result that names none.
ResultTopic = Callable[[str, str], str]
#: Loops over several pipelines that are told: there may be more of them than anyone reads.
MOST_LOOPS = 100


def feedback_loops(pipelines: Iterable[Pipeline], result_topic: ResultTopic) -> list[Problem]:
    """A problem for every loop of publishing and triggering.

    A pipeline that may trigger itself is an error where it certainly does (a trigger takes in every topic that
    the output's can be), else a warning: a value may keep the two apart.
    """
    known = list(pipelines)
    takers = _takers(known)
    feeds: dict[str, set[str]] = {pipeline.name: set() for pipeline in known}
    problems = []
    for source in known:
        captures = {name for trigger in source.triggers for name in parse_filter(trigger.topic).captures}
        rest = _rests(source)
        for output in source.outputs:
            topics = _published(source, output, rest, result_topic)
            own: list[int] = []
            for _, taker in takers.overlapping(share_and_levels(topics)[1]):
                feeds[source.name].update(taker)
                own += taker.get(source.name, ())
            for trigger in (source.triggers[index] for index in sorted(own)):
                certain = _certain(output, trigger, topics, captures)
                problems.append(_itself(source, output, trigger, certain=certain))
    problems.extend(_longer(known, feeds))
    return problems


def _takers(pipelines: Iterable[Pipeline]) -> FilterTrie[dict[str, list[int]]]:
    """By levels of a filter: the pipelines with that filter, and the indexes of their triggers with it."""
    trie: FilterTrie[dict[str, list[int]]] = FilterTrie()
    for pipeline in pipelines:
        for index, trigger in enumerate(pipeline.triggers):
            trie.setdefault(share_and_levels(trigger.topic)[1], {}).setdefault(pipeline.name, []).append(index)
    return trie


def daemon_loops(pipelines: Iterable[Pipeline], always: Topics, at_times: Topics) -> list[Problem]:
    """A problem for every trigger that takes in what the daemon publishes about its own pipeline.

    `always`: filters of what each run makes it publish, an error; `at_times`: of what some do, a warning.
    """
    problems = []
    for pipeline in pipelines:
        certain, possible = _levels(always(pipeline.name)), _levels(at_times(pipeline.name))
        for trigger in pipeline.triggers:
            hit = _first_overlap(trigger, certain)
            told = hit or _first_overlap(trigger, possible)
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


def _first_overlap(trigger: Trigger, filters: Mapping[str, Levels]) -> str | None:
    wanted = share_and_levels(trigger.topic)[1]
    return next((text for text, levels in filters.items() if overlap(wanted, levels)), None)


def _levels(filters: Iterable[str]) -> Mapping[str, Levels]:
    return {text: share_and_levels(text)[1] for text in filters}


def _certain(output: Output, trigger: Trigger, topics: str, captures: Collection[str]) -> bool:
    """Whether the trigger takes in whatever the output publishes: values of the run could hold any levels."""
    if output.topic == "{topic}":
        return True
    names = parse_topic(output.topic).names if output.topic is not None else frozenset()
    return names.issubset({*captures, "topic", "pipeline"}) and covers(trigger.topic, topics)


def published(pipeline: Pipeline, output: Output, result_topic: ResultTopic) -> str:
    """A filter for all topics that an output may publish to."""
    return _published(pipeline, output, _rests(pipeline), result_topic)


def _published(pipeline: Pipeline, output: Output, rests: Collection[str], result_topic: ResultTopic) -> str:
    if output.topic is None:
        return result_topic(pipeline.name, output.node)
    return parse_topic(output.topic).as_filter(rests)


def _rests(pipeline: Pipeline) -> frozenset[str]:
    """Captures that may hold several levels."""
    patterns = (parse_filter(trigger.topic) for trigger in pipeline.triggers)
    return frozenset(name for each in patterns for name in each.captures if f"{{{name}#}}" in each.text)


def _itself(pipeline: Pipeline, output: Output, trigger: Trigger, *, certain: bool) -> Problem:
    verb = "triggers" if certain else "may trigger"
    return Problem(
        what=f"what '{pipeline.name}' publishes from node '{output.node}' {verb} it again ({trigger.topic})",
        where=output.where or pipeline.where,
        mend="publish to a topic that no trigger of it matches",
        warning=not certain,
    )


def _longer(pipelines: list[Pipeline], feeds: Mapping[str, set[str]]) -> list[Problem]:
    """Loops over two and more pipelines: one warning each."""
    problems: list[Problem] = []
    seen: set[frozenset[str]] = set()
    fed_by: dict[str, set[str]] = {name: set() for name in feeds}
    for name, targets in feeds.items():
        for target in targets:
            fed_by[target].add(name)
    for pipeline in pipelines:
        for path in _loops(pipeline.name, feeds, _feeding(pipeline.name, fed_by)):
            if frozenset(path) in seen:
                continue
            seen.add(frozenset(path))
            problems.append(
                Problem(
                    what=f"pipelines trigger each other in a loop: {' -> '.join((*path, path[0]))}",
                    where=pipeline.where,
                    mend="make sure that one of them publishes nothing in the end",
                    warning=True,
                )
            )
            if len(problems) == MOST_LOOPS:
                return problems
    return problems


def _feeding(first: str, fed_by: Mapping[str, set[str]]) -> set[str]:
    """The names above `first` from which something leads to it over names above it."""
    found: set[str] = set()
    waiting = deque([first])
    while waiting:
        new = {name for name in fed_by[waiting.popleft()] if name > first} - found
        found |= new
        waiting.extend(new)
    return found


def _loops(first: str, feeds: Mapping[str, set[str]], within: set[str]) -> Iterator[tuple[str, ...]]:
    """Loops from `first` over names of `within`, by depth-first search."""
    stack: list[tuple[str, ...]] = [(first,)]
    while stack:
        path = stack.pop()
        for name in sorted(feeds[path[-1]] & {first, *within}):
            if name == first and len(path) > 1:
                yield path
            elif name not in path:
                stack.append((*path, name))
