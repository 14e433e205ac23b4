"""Servers that projects are kept on."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.support import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "a-secret-key", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[dict[str, str]]:
    """A server that speaks S3; the environment in which clients find it."""
    address = f"http://127.0.0.1:{(port := free_port())}"
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _answers(address, server)
        yield {**KEYS, "AWS_ENDPOINT_URL": address}
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture
def s3(s3_server: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of that server, whose environment this process has too."""
    import s3fs  # type: ignore[import-untyped]  # it ships no types

    for name, value in s3_server.items():
        monkeypatch.setenv(name, value)
    client = s3fs.S3FileSystem(skip_instance_cache=True)
    if not client.exists("plants"):
        client.mkdir("plants")
    return client


@pytest.fixture
def github(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """What stands in the repository ``someone/plants`` on a server that answers as GitHub's does."""
    from fsspec.implementations.github import GithubFileSystem  # type: ignore[import-untyped]  # it ships no types

    files: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_GitHub,), {"files": files}))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}/repos/{{org}}/{{repo}}"
    monkeypatch.setattr(GithubFileSystem, "url", f"{base}/git/trees/{{sha}}")
    monkeypatch.setattr(GithubFileSystem, "content_url", f"{base}/contents/{{path}}?ref={{sha}}")
    yield files
    server.shutdown()
    server.server_close()
    thread.join()


class _GitHub(BaseHTTPRequestHandler):
    """GET /repos/someone/plants/git/trees/<sha> and …/contents/<path>, as api.github.com answers them."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        """Answer."""
        import base64

        path = unquote(urlsplit(self.path).path)
        kind, _, rest = path.removeprefix("/repos/someone/plants/").partition("/")
        if kind == "git":
            self._tree(rest.removeprefix("trees/"))
        elif kind == "contents" and rest in self.files:
            content = base64.b64encode(self.files[rest]).decode()
            self._send({"content": content, "encoding": "base64", "size": len(self.files[rest])})
        else:
            self._send({"message": "Not Found"}, 404)

    def _tree(self, sha: str) -> None:
        folder = "" if sha == "main" else sha.removeprefix("tree-").replace("~", "/") + "/"
        found: dict[str, dict[str, Any]] = {}
        for name, content in self.files.items():
            if name.startswith(folder):
                first, below, _ = name.removeprefix(folder).partition("/")
                if below:
                    inner = f"tree-{(folder + first).replace('/', '~')}"
                    found[first] = {"path": first, "type": "tree", "mode": "040000", "sha": inner}
                else:
                    blob = {"path": first, "type": "blob", "mode": "100644", "sha": "b", "size": len(content)}
                    found[first] = blob
        self._send({"sha": sha, "tree": list(found.values())})

    def _send(self, body: dict[str, Any], code: int = 200) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


def _answers(address: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(f"{address}/moto-api/", timeout=1):
                return
        except OSError:
            assert server.poll() is None, "the S3 server has ended"
            assert time.monotonic() < deadline, "the S3 server does not answer"
            time.sleep(0.05)
