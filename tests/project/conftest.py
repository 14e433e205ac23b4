"""A server that answers as GitHub does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest


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
