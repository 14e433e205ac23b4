"""A folder on any filesystem."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from fp_events.domain.errors import StorageError

from .locations import secrets_in, without_credentials

#: fsspec's protocol -> how to get what it needs.
_EXTRAS = {"s3": "fp-events[s3]", "s3a": "fp-events[s3]", "github": "fp-events[github]", "http": "fp-events[http]"}
#: Bytes of one file; more is data, and belongs elsewhere.
LARGEST = 64 << 20


class Folder:
    """Reads and writes the files below one URL. Every failure is a StorageError without credentials."""

    def __init__(self, url: str, shown: str = "") -> None:
        """`shown`: how messages call it; default: the URL without credentials."""
        self.url = url
        self.shown = shown or without_credentials(url.removeprefix("zip://::"))
        self._fs, self._base = self._opened(url)

    def files(self, passed_over: frozenset[str] = frozenset()) -> Iterator[tuple[str, int]]:
        """(path below the folder, size) of all files; 0 where the size is not known.

        Neither hidden folders and files, nor top folders that are `passed_over`. Raises StorageError, also for a name
        that leads out of the folder.
        """
        with self._explained("listed"):
            for path, folders, files in self._fs.walk(self._base, detail=True):
                below = self._below(path)
                for name in list(folders):
                    if _hidden(name) or (not below and name in passed_over):
                        del folders[name]
                for name, facts in sorted(files.items()):
                    if name and not _hidden(name):
                        yield self._safe(f"{below}/{name}" if below else name), int(facts.get("size") or 0)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        with self._explained("read"):
            return bool(self._fs.isfile(self._full(path)))

    def has_folder(self, path: str) -> bool:
        """Whether there is such a folder."""
        with self._explained("listed"):
            return bool(self._fs.isdir(self._full(path)))

    def folders(self) -> list[str]:
        """Names of the folders in this one, without hidden ones."""
        with self._explained("listed"):
            found = self._fs.ls(self._base, detail=True)
        names = [str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in found if entry["type"] == "directory"]
        return sorted(name for name in names if not name.startswith("."))

    def read(self, path: str, limit: int = LARGEST) -> bytes:
        """A file's content; raises StorageError, also where it is longer than `limit` bytes."""
        with self.reading(path) as file:
            content: bytes = file.read(limit + 1)
        if len(content) > limit:
            where = f"{self.shown}/{path}" if path else self.shown
            raise StorageError(f"it is larger than {limit >> 20} MiB", where=where)
        return content

    def write(self, path: str, content: bytes) -> None:
        """Write a file, with the folders above it. Raises StorageError."""
        with self.writing(path) as file:
            file.write(content)

    @contextmanager
    def reading(self, path: str) -> Iterator[IO[bytes]]:
        """A file opened to be read; without a path, the one that the URL names. Raises StorageError."""
        with self._explained("read", path), self._fs.open(self._full(path), "rb") as file:
            yield file

    @contextmanager
    def writing(self, path: str) -> Iterator[IO[bytes]]:
        """The same to be written, with the folders above it. Raises StorageError."""
        full = self._full(self._safe(path) if path else "")
        with self._explained("written", path):
            self._fs.makedirs(full.rpartition("/")[0], exist_ok=True)
            with self._fs.open(full, "wb") as file:
                yield file

    def _full(self, path: str) -> str:
        if not path:
            return self._base
        return f"{self._base.rstrip('/')}/{path}" if self._base else path

    def _below(self, path: str) -> str:
        base, path = self._base.strip("/"), str(path).strip("/")
        if base and path != base and not path.startswith(f"{base}/"):
            raise self._outside(path)
        return path.removeprefix(base).strip("/") if base else path

    def _safe(self, path: str) -> str:
        parts = path.split("/")
        if len(path) > 400 or "\\" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
            raise self._outside(path)
        return path

    def _outside(self, path: str) -> StorageError:
        return StorageError(f"it holds a file called {path!r}, which leads out of it", where=self.shown)

    def _opened(self, url: str) -> tuple[Any, str]:
        with self._explained("opened"):
            import fsspec  # type: ignore[import-untyped]  # it ships no types

            # They remember listings, an archive its own for ever, and whoever looks again must see what changed.
            links = url.split("::")
            for number in range(1, len(links)):
                fsspec.core.url_to_fs("::".join(links[number:]))[0].invalidate_cache()
            if url.startswith("zip://"):
                fsspec.get_filesystem_class("zip").clear_instance_cache()
            fs, base = fsspec.core.url_to_fs(url)
            fs.invalidate_cache()
            return fs, "" if base == "*" else str(base)

    def _scrubbed(self, text: str) -> str:
        for secret in secrets_in(self.url):
            text = text.replace(secret, "***")
        return without_credentials(text)

    @contextmanager
    def _explained(self, done: str, path: str = "") -> Iterator[None]:
        where = f"{self.shown}/{path}" if path else self.shown
        try:
            yield
        except StorageError:
            raise
        except ImportError as error:
            protocol = self.url.rpartition("::")[2].partition("://")[0]
            extra = _EXTRAS.get(protocol.replace("https", "http"))
            mend = f"pip install '{extra}'" if extra else "install it"
            what = self._scrubbed(f"{protocol}:// needs a package: {error}")
            raise StorageError(what, where=where, mend=mend) from None
        except FileNotFoundError:
            raise StorageError("there is no such file or folder", where=where, mend="mend the URL") from None
        except Exception as error:  # noqa: BLE001 - each filesystem raises what its library does
            # No cause: its text and its traceback's may hold credentials.
            reason = self._scrubbed(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
            raise StorageError(f"it cannot be {done} ({reason})", where=where) from None


def _hidden(name: str) -> bool:
    # A folder called ".." is no hidden one: it is refused where it is met.
    return (name.startswith(".") and name != "..") or name == "__pycache__"
