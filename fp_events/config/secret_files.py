"""Secrets in files: the first line of each."""

from __future__ import annotations

from fp_events.domain.envelope import SHORTEST_KEY
from fp_events.domain.errors import ConfigError

from .result import Config


def first_line(config: Config, setting: str, file: str) -> str:
    """The first line of the file that `setting` names; raises ConfigError."""
    try:
        text = config.local_path(file).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise unreadable(config, setting, file, error.strerror or "no such file") from error
    except UnicodeDecodeError:
        # The cause holds what was read.
        raise unreadable(config, setting, file, "it is not UTF-8 text") from None
    line = text.partition("\n")[0].rstrip("\r")
    if not line:
        raise unreadable(config, setting, file, "its first line is empty")
    return line


def control_key(config: Config) -> bytes | None:
    """The key that commands by MQTT are signed with; raises ConfigError where it cannot be read, or is too short."""
    key = _long_enough(config, "control.hmac_key", config.control.hmac_key, config.control.hmac_key_file)
    return None if key is None else key.encode()


def http_token(config: Config) -> str | None:
    """What commands by HTTP must bring along; raises ConfigError as above."""
    return _long_enough(config, "http.token", config.http.token, config.http.token_file)


def _long_enough(config: Config, name: str, given: str | None, file: str | None) -> str | None:
    setting = name if file is None else f"{name}_file"
    secret = given if file is None else first_line(config, setting, file)
    if secret is not None and len(secret.encode()) < SHORTEST_KEY:
        raise ConfigError(
            f"{setting}: it is shorter than {SHORTEST_KEY} bytes",
            where=config.origin(setting),
            mend="make one with `openssl rand -hex 32`",
        )
    return secret


def unreadable(config: Config, setting: str, file: str, reason: str) -> ConfigError:
    """The file that a setting names is of no use."""
    what = f"{setting}: the file {file} cannot be used: {reason}"
    return ConfigError(what, where=config.origin(setting), mend="correct the path, or the file's owner and mode")
