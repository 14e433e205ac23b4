"""The reference of all keys, generated from where they are declared.

``python -m fp_events.config.reference docs/configuration.md`` brings a file up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .pipeline_keys import PipelineSettings
from .project_keys import ProjectSettings
from .schema import block_of, field_kind, is_mapping, item_of, kind, shape

_BEGIN: Final = "<!-- generated: begin {} -->\n"
_END: Final = "<!-- generated: end {} -->\n"
_HEAD: Final = "| key | type | default | meaning |\n|---|---|---|---|\n"
_TABLES: Final[dict[str, type[BaseModel]]] = {"project": ProjectSettings, "pipeline": PipelineSettings}


def table(model: type[BaseModel]) -> str:
    """The keys below `model` as a Markdown table."""
    return _HEAD + "".join(_rows(model, ""))


def embed(text: str) -> str:
    """`text` with the tables between its markers brought up to date."""
    for name, model in _TABLES.items():
        begin, end = _BEGIN.format(name), _END.format(name)
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = before + begin + table(model) + end + after
    return text


def _rows(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        path = prefix + name
        found = shape(field.annotation)
        item = item_of(found)
        block, inner = block_of(found), block_of(item) if item is not None else None
        if model is ProjectSettings and name in {"run", "adapter"}:
            block = None
        if block is None:
            yield f"| `{path}` | {_type(field)} | {_default(field)} | {_cell(field.description or '')} |\n"
        nested = block or inner
        if nested is not None:
            step = "" if block else ".<name>" if is_mapping(found) else "[]"
            yield from _rows(nested, f"{path}{step}.")


def _type(field: FieldInfo) -> str:
    found = shape(field.annotation)
    read = field_kind(field)
    if read is not None:
        return read.label
    if block_of(found) is not None:
        return "block"
    return "block" if is_mapping(found) else f"list of {_item(field)}"


def _item(field: FieldInfo) -> str:
    found: Any = shape(field.annotation)
    read = kind(found.__args__[0])
    return read.label if read is not None else "blocks"


def _default(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    if isinstance(extra, dict) and extra:
        return _cell(str(extra["shown"]))
    if field.default is PydanticUndefined:
        return "must be given"
    if field.default is None or field.default in ({}, ()) or isinstance(field.default, BaseModel):
        return "none"
    read = field_kind(field)
    return f"`{read.write(field.default) if read else field.default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _main(file: str) -> None:
    path = Path(file)
    path.write_text(embed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    _main(sys.argv[1])
