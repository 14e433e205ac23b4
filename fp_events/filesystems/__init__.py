"""Folders and files wherever fsspec reaches: S3, GitHub, archives, memory. The one place that knows fsspec."""

from .folders import Folder
from .locations import archive_or_folder, folder_name, is_remote, without_credentials
from .snapshots import Snapshot, home_of, take
from .transfers import delivered, fetched

__all__ = [
    "Folder",
    "Snapshot",
    "archive_or_folder",
    "delivered",
    "fetched",
    "folder_name",
    "home_of",
    "is_remote",
    "take",
    "without_credentials",
]
