"""The pipelines of a project, as the facade shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from fp_events.domain.errors import PipelineNotFound
from fp_events.domain.pipeline import Pipeline

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue, NodeInfo
    from fp_events.plans.graph import GraphFormat


class Pipelines(Mapping[str, Pipeline]):
    """By name; each is a frozen `Pipeline` with all levels of its settings merged."""

    def __init__(self, config: Callable[[], Config], plans: Callable[[], Catalogue]) -> None:
        self._config = config
        self._plans = plans

    def __getitem__(self, name: str) -> Pipeline:
        """Raises PipelineNotFound, which is a KeyError's counterpart that names the nearest one."""
        found = self._config().pipelines.get(name)
        if found is None:
            raise PipelineNotFound(name, tuple(self))
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._config().pipelines

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._config().pipelines))

    def __len__(self) -> int:
        return len(self._config().pipelines)

    def list(self) -> list[str]:
        """Names, sorted."""
        return sorted(self)

    def show(self, name: str) -> dict[str, Any]:
        """A pipeline's settings as plain values, without secrets."""
        self[name]
        settings: dict[str, Any] = self._config().show()["pipelines"][name]
        return settings

    def nodes(self, name: str) -> list[NodeInfo]:
        """Its nodes, inputs first. Raises ConfigError."""
        return self._plans().nodes(self[name])

    def graph(self, name: str, format: GraphFormat = "mermaid") -> str:  # noqa: A002 - the option's name
        """A drawing as text: mermaid, dot, text or svg, which needs Graphviz."""
        from fp_events.plans import graph

        return graph.draw(self._plans(), self[name], format).decode()
