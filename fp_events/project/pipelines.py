"""The pipelines of a project, as the facade shows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fp_events.app import parcels, scaffold
from fp_events.domain.errors import PipelineNotFound, UsageError
from fp_events.domain.pipeline import Pipeline

if TYPE_CHECKING:
    from fp_events.config import Config
    from fp_events.plans.catalogue import Catalogue, NodeInfo
    from fp_events.plans.graph import TextFormat


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

    def get(self, name: str, default: Any = None) -> Any:
        """The pipeline, or `default` where there is none."""
        return self._config().pipelines.get(name, default)

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

    def nodes(self, name: str) -> Sequence[NodeInfo]:
        """Its nodes, inputs first. Raises ConfigError."""
        return self._plans().nodes(self[name])

    def new(self, name: str) -> Sequence[Path]:
        """Make a pipeline that works at once: a module and its YAML; the files. `Project.reload` sees it.

        Raises UsageError for a name that is none, or taken, and for a project that is not on this machine.
        """
        return scaffold.new_pipeline(self._folder(), name)

    def delete(self, name: str) -> Sequence[Path]:
        """Remove a pipeline's module and YAML; the files removed. Its runs and state stay in the ledger."""
        self[name]
        return scaffold.delete_pipeline(self._folder(), name)

    def export(self, name: str, url: str | Path, *, overwrite: bool = False) -> Sequence[str]:
        """Copy a pipeline's module, settings and helper modules to a folder, an archive or a URL; where they are.

        Raises UsageError where other files are there already and `overwrite` is not said.
        """
        self[name]
        return parcels.send(parcels.pack(Path(self._config().root), name), str(url), overwrite=overwrite)

    def import_(
        self, url: str | Path, *, pipeline: str | None = None, name: str | None = None, overwrite: bool = False
    ) -> Sequence[Path]:
        """Add a pipeline of another project, `name` being what it is called here; its files. `Project.reload` sees it.

        Raises UsageError as `export` does, and for a project that is not on this machine.
        """
        folder = self._folder()
        parcel = parcels.receive(str(url), pipeline)
        parcel = parcel if name is None else parcel.renamed(name)
        return parcels.unpack(parcel, folder, overwrite=overwrite)

    def graph(self, name: str, format: TextFormat = "mermaid") -> str:  # noqa: A002 - the option's name
        """A drawing as text: mermaid, dot, text or svg, which needs Graphviz."""
        from fp_events.plans import graph

        return graph.draw(self._plans(), self[name], format).decode()

    def save_graph(self, name: str, path: str | Path) -> Path:
        """Draw it into a file, whose ending says how: svg, png, pdf, mmd, dot or txt. Raises UsageError."""
        from fp_events.plans import graph

        file = Path(path)
        form = graph.ENDINGS.get(file.suffix.lower())
        if form is None:
            raise UsageError(f"the ending of {file} does not say how to draw", mend=f"use {', '.join(graph.ENDINGS)}")
        file.write_bytes(graph.draw(self._plans(), self[name], form))
        return file

    def _folder(self) -> Path:
        config = self._config()
        if config.remote:
            raise UsageError(
                f"{config.shown} is no folder of this machine, and is only read", mend="use a copy of your own"
            )
        return Path(config.root)
