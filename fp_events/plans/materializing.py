"""`io`: nodes for loaders and savers that a pipeline's settings name, as Hamilton's materialisers make them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fp_events.domain.errors import ConfigError, Problem
from fp_events.domain.materials import Material

from .hamilton_api import hamilton, load_extensions_for
from .placing import Places, placed


def materialize(
    nodes: dict[str, Any], loads: Mapping[str, Material], saves: Mapping[str, Material], places: Places
) -> None:
    """Add their nodes to a module's; edges come later. Raises ConfigError with all that is wrong."""
    if not loads and not saves:
        return
    load_extensions_for("hamilton.function_modifiers", ("load_from", "save_to"))
    problems: list[Problem] = []
    for make, materials in ((_loader_nodes, loads), (_saver_nodes, saves)):
        for name, material in materials.items():
            try:
                made = make(nodes, name, material)
            except ConfigError as error:
                problems += [Problem(what=error.what, where=material.where, mend=error.mend)]
                continue
            for node in made:
                nodes[node.name] = placed(node, places)
    if problems:
        raise ConfigError.of(problems)


def _loader_nodes(nodes: Mapping[str, Any], name: str, material: Material) -> list[Any]:
    if name in nodes:
        raise ConfigError(f"'{name}' is a function of the module", mend="load an input, which no function gives")
    types = [node.input_types[name][0] for node in nodes.values() if name in node.input_types]
    if not types:
        raise ConfigError(f"no function takes '{name}'", mend="name a parameter of a function")
    classes, arguments = _adapter(material, hamilton("registry").LOADER_REGISTRY, "loader", types[0])
    decorator = hamilton("function_modifiers.adapters").LoadFromDecorator(classes, name, **arguments)
    made: list[Any] = decorator.get_loader_nodes(name, types[0])
    return made


def _saver_nodes(nodes: Mapping[str, Any], name: str, material: Material) -> list[Any]:
    saved = nodes.get(material.node)
    if saved is None:
        from .selection import nearest

        mend = nearest(material.node, list(nodes), f"there are {', '.join(nodes)}")
        raise ConfigError(f"there is no function '{material.node}' to save the value of", mend=mend)
    if name in nodes:
        raise ConfigError(f"'{name}' is a function of the module", mend="give the saver a name of its own")
    classes, arguments = _adapter(material, hamilton("registry").SAVER_REGISTRY, "saver", saved.type)
    decorator = hamilton("function_modifiers.adapters").SaveToDecorator(classes, output_name_=name, **arguments)
    return [decorator.create_saver_node(saved, {}, saved.callable)]


def _adapter(
    material: Material, registry: Mapping[str, list[Any]], kind: str, type_: Any
) -> tuple[list[Any], dict[str, Any]]:
    """The classes that fit a type, and the arguments as Hamilton has them; raises ConfigError."""
    from .building import type_name
    from .selection import nearest

    known = {name: classes for name, classes in registry.items() if classes}
    if material.adapter not in known:
        mend = nearest(material.adapter, list(known), f"there are {', '.join(sorted(known))}")
        raise ConfigError(f"there is no {kind} '{material.adapter}'", mend=mend)
    adapters = hamilton("function_modifiers.adapters")
    fitting = adapters.resolve_adapter_class(type_, known[material.adapter])
    if fitting is None:
        raise ConfigError(f"the {kind} '{material.adapter}' does not know {type_name(type_)}", mend="use another one")
    required, optional = fitting.get_required_arguments(), fitting.get_optional_arguments()
    for argument in material.arguments:
        if argument not in required and argument not in optional:
            mend = nearest(argument, [*required, *optional], f"it has {', '.join([*required, *optional])}")
            raise ConfigError(f"the {kind} '{material.adapter}' has no argument '{argument}'", mend=mend)
    missing = [argument for argument in required if argument not in material.arguments]
    if missing:
        raise ConfigError(f"the {kind} '{material.adapter}' needs '{missing[0]}'", mend="add it")
    modifiers = hamilton("function_modifiers")
    arguments = {
        name: modifiers.source(given["source"]) if _is_source(given) else modifiers.value(given)
        for name, given in material.arguments.items()
    }
    return [fitting], arguments


def _is_source(given: Any) -> bool:
    return isinstance(given, Mapping) and set(given) == {"source"} and isinstance(given["source"], str)
