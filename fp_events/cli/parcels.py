"""`pipelines export`, `pipelines import`: a pipeline to another filesystem, and from one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .arguments import PipelineArgument
from .invocation import Invocation
from .output import note, safe

OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace other files of these names.")]


def export(
    context: typer.Context,
    name: PipelineArgument,
    url: Annotated[str, typer.Argument(metavar="FOLDER|URL", help="A folder, a .zip file, s3://bucket/folder, …")],
    overwrite: OverwriteOption = False,
) -> None:
    """Copy a pipeline's module, settings and helper modules to a folder, an archive or a URL."""
    from fp_events.app import parcels

    invocation: Invocation = context.obj
    parcel = parcels.pack(Path(invocation.config().root), name)
    for path in parcels.send(parcel, url, overwrite=overwrite):
        print(safe(path))


def import_(
    context: typer.Context,
    url: Annotated[str, typer.Argument(metavar="FOLDER|URL", help="Another project, or what `export` has written.")],
    pipeline: Annotated[str | None, typer.Option("--pipeline", help="Which one, where there are several.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="Call it so here.")] = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Add a pipeline of another project to this one, with the helper modules that it imports."""
    from fp_events.app import parcels

    invocation: Invocation = context.obj
    root = invocation.root()
    parcel = parcels.receive(url, pipeline)
    if name is not None:
        parcel = parcel.renamed(name)
    for path in parcels.unpack(parcel, root, overwrite=overwrite):
        print(safe(str(path.relative_to(root))))
    note("look it over with `fp-events check`")
