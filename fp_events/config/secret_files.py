"""Secrets in files: the first line of each."""

from __future__ import annotations

from fp_events.domain.envelope import SHORTEST_KEY
from fp_events.domain.errors import ConfigError

from .files import ProjectFiles
from .result import Config


def first_line(config: Config, setting: str, file: str) -> str:
    """The first line of the file that `setting` names; raises ConfigError."""
    try:
        if file.startswith(("/", "~")):
            text = config.local_path(file, setting).read_text(encoding="utf-8")
        else:
            text = ProjectFiles(config.root).text(file)
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
    file = config.control.hmac_key_file
    key = config.control.hmac_key if file is None else first_line(config, "control.hmac_key_file", file)
    if key is None:
        return None
    setting = "control.hmac_key" if file is None else "control.hmac_key_file"
    if len(key.encode()) < SHORTEST_KEY:
        raise ConfigError(
            f"{setting}: the key is shorter than {SHORTEST_KEY} bytes",
            where=config.origin(setting),
            mend="make one with `openssl rand -hex 32`",
        )
    return key.encode()


def unreadable(config: Config, setting: str, file: str, reason: str) -> ConfigError:
    """The file that a setting names is of no use."""
    what = f"{setting}: the file {file} cannot be used: {reason}"
    return ConfigError(what, where=config.origin(setting), mend="correct the path, or the file's owner and mode")
