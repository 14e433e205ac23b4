"""URLs of folders and files, as users write them."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

_CREDENTIALS: Final = re.compile(r"(\b[A-Za-z][A-Za-z0-9+.-]*://)\S*@")
#: What follows a question mark may sign a request.
_QUERY: Final = re.compile(r"(\b(?:https?|s3|gs|gcs|abfss?|az)://[^\s?]*)\?\S+")
#: Where the part before the ``@`` is an account and a repository.
_REPOSITORY: Final = re.compile(r"(\bgithub://[\w.-]+:[\w.-]+)@")


def is_remote(location: str) -> bool:
    """Whether a project is not a folder of this machine: a URL, or an archive."""
    return "://" in location or "::" in location or location.endswith(".zip")


def archive_or_folder(location: str) -> str:
    """A remote location as fsspec takes it: an archive becomes the folder in it."""
    location = location.rstrip("/")
    if location.endswith(".zip") and "::" not in location:
        return f"zip://::{location}"
    # As fsspec's own documentation writes "all of it".
    return re.sub(r"^zip://\*(?=::)", "zip://", location)


def folder_name(location: str) -> str:
    """The last part of a location's path: the folder's name, or the archive's without its ending."""
    inner, _, outer = location.partition("::")
    inside = inner.partition("://")[2].strip("/*")
    if outer and not inside:
        return folder_name(outer)
    parts = urlsplit(inner)
    path = f"{parts.netloc.rpartition('@')[2] if not parts.path.strip('/') else ''}{parts.path}"
    name = path.rstrip("/").rpartition("/")[2] or parts.scheme
    if _REPOSITORY.search(inner) and not parts.path.strip("/"):
        name = parts.netloc.partition("@")[0].rpartition(":")[2]
    return name.removesuffix(".zip")


def secrets_in(location: str) -> list[str]:
    """What a URL holds that no message may show: a user's part, a password, a query; the longest first."""
    plain = _REPOSITORY.sub(r"\1\0", location)
    found = []
    for user in re.findall(r"://([^/\s]*)@", plain):
        found += [user, *user.split(":")[1:]]
    found += re.findall(r"\?(\S+)", plain)
    return sorted((secret for secret in found if secret), key=len, reverse=True)


def without_credentials(text: str) -> str:
    """`text` with ``user:password@`` and signed queries in any URL of it replaced."""
    shown = _REPOSITORY.sub("\\1\0", _QUERY.sub(r"\1?***", text))
    # Up to the last '@': a password may hold whatever its writer forgot to escape.
    return _CREDENTIALS.sub(r"\1***@", shown).replace("\0", "@")
