"""What all blocks of settings share: frozen, strict, and documented where they are declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .layers import Layer


class Keys:
    """What a block knows beside its keys."""

    #: Key -> what to say of it: keys of the design, or of FlowerPower, that do nothing here.
    unavailable: ClassVar[Mapping[str, str]] = {}
    #: The key that a bare word in place of the block stands for.
    shorthand: ClassVar[str | None] = None
    #: What a block that has keys, but not these, says all the same.
    implied: ClassVar[Mapping[str, Any]] = {}


class Block(Keys, BaseModel):
    """A block of keys inside a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(Keys, BaseSettings):
    """The keys of a whole file, merged by pydantic-settings from layers.

    Made with one argument, `layers`: `Layer` objects, the lowest precedence first.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The layers, the highest precedence first, in place of pydantic-settings' own sources."""
        layers: list[Layer] = init_settings.init_kwargs["layers"]  # type: ignore[attr-defined]  # as made by BaseSettings
        return tuple(_LayerSource(settings_cls, layer) for layer in reversed(layers))


class _LayerSource(PydanticBaseSettingsSource):
    """One layer as a source of pydantic-settings."""

    def __init__(self, settings_cls: type[BaseSettings], layer: Layer) -> None:
        super().__init__(settings_cls)
        self._layer = layer

    def get_field_value(self, field: object, field_name: str) -> tuple[Any, str, bool]:
        return self._layer.data.get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        return dict(self._layer.data)


def setting(default: Any, meaning: str, *, shown: str = "", secret: bool = False) -> Any:
    """A key with its default (`...`: it must be given), its meaning, and how to show a computed default."""
    extra: Any = {"shown": shown} if shown else None
    return Field(default, description=meaning, json_schema_extra=extra, repr=not secret)


def of_flowerpower(*names: str) -> dict[str, str]:
    """The answer for keys that FlowerPower's files have under these names, and ours under others."""
    return {name: f"`{name}` is a key of FlowerPower; try `fp-events migrate`" for name in names}


def not_available(*names: str) -> dict[str, str]:
    """The answer for keys whose feature does not exist yet."""
    return {name: f"`{name}` is not available in this version; remove it" for name in names}
