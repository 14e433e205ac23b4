"""The broker's address out of whichever file had it."""

from __future__ import annotations

import re
from typing import Any, Final

from .blocks import New, Old
from .report import Kind, Migration

#: Where a password that stood in the open goes.
PASSWORD_FILE: Final = "conf/mqtt-password"  # noqa: S105 (a file's name, no secret)
_SESSION = (
    "a clean session lost what came while nobody listened; here the broker keeps it for 7 days, "
    "`mqtt.session_expiry` says how long"
)
#: How often and how fast to connect again; a daemon never gives up.
_RECONNECT: Final = (
    "first_reconnect_delay", "max_reconnect_count", "reconnect_rate", "max_reconnect_delay", "reconnect_retries",
    "reconnect_delay",
)  # fmt: skip


def broker_block(old: Old, new: New, migration: Migration) -> None:
    """Translate host, port, credentials and session of a connection; each key is taken."""
    host = old.take("host") or old.take("broker") or "localhost"
    port = old.take("port")
    websockets = old.take("transport") == "websockets"
    scheme = "ws" if websockets else "mqtt"
    default = 80 if websockets else 1883
    url = f"{scheme}://{host}" + ("" if port in (None, default) else f":{port}")
    if new.get(("mqtt", "url")) is not None:
        old.tell(Kind.TODO, "host", host, note=f"the broker is {new.get(('mqtt', 'url'))} already: a project has one")
        old.left.clear()
        return
    new.put(old, "broker" if "broker" in (old.file.data.get("mqtt") or {}) else "host", url, ("mqtt", "url"))
    _credentials(old, new, migration)
    _identity(old, new)
    if old.take("clean_session") is not False:
        old.tell(Kind.MEANING, "clean_session", True, "mqtt.session_expiry: 7d", _SESSION)
    keepalive = old.take("keepalive")
    if keepalive not in (None, 60):
        new.put(old, "keepalive", keepalive, ("mqtt", "keepalive"))
    old.drop(*_RECONNECT, "type", "uri", "database", "schema", "from_ds_sqla", "topic")
    for name in ("ssl", "verify_ssl", "cert_file", "key_file", "ca_file"):
        _tls(old, new, name)
    old.end()


def _credentials(old: Old, new: New, migration: Migration) -> None:
    username = old.take("username") or old.take("user")
    if username:
        new.put(old, "username", str(username), ("mqtt", "username"))
    password = old.take("password") or old.take("pw")
    if not password:
        return
    text = str(password)
    if text.startswith("${"):
        new.put(old, "password", password, ("mqtt", "password"))
        return
    migration.texts[PASSWORD_FILE] = f"{text}\n"
    migration.private.add(PASSWORD_FILE)
    new.set(("mqtt", "password_file"), PASSWORD_FILE)
    note = "only you can read that file; keep it out of version control"
    old.tell(Kind.CHANGED, "password", text, f"mqtt.password_file: {PASSWORD_FILE}", note)


def _identity(old: Old, new: New) -> None:
    client_id, suffix = old.take("client_id"), old.take("client_id_suffix")
    if client_id:
        full = f"{client_id}-{suffix}" if suffix else str(client_id)
        new.put(old, "client_id", re.sub(r"[+#/\s]", "-", full), ("mqtt", "client_id"))
    elif suffix:
        old.tell(Kind.DROPPED, "client_id_suffix", suffix, note="the client id is made of project and host")


def _tls(old: Old, new: New, name: str) -> None:
    value: Any = old.take(name)
    if not value:
        return
    if name in {"cert_file", "key_file", "ca_file"}:
        new.put(old, name, value, ("mqtt", "tls", name))
        url = str(new.get(("mqtt", "url")))
        new.set(("mqtt", "url"), url.replace("mqtt://", "mqtts://", 1))
    elif name == "ssl":
        url = str(new.get(("mqtt", "url")))
        new.set(("mqtt", "url"), url.replace("mqtt://", "mqtts://", 1))
        old.tell(Kind.CHANGED, name, value, "mqtt.url: mqtts://…")
    else:
        old.tell(Kind.DROPPED, name, value, note="certificates are always verified")
