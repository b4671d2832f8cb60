"""A hub on 127.0.0.1 that speaks the routes that huggingface_hub asks for."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CHUNK = 1 << 10  # bytes that the client takes at once


class LoopbackHub(ThreadingHTTPServer):
    """Its repositories are dicts of files; `cuts` are bytes after which a download breaks off."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, bytes]] = {}  # "datasets/owner/name" or "owner/name"
        self.cuts: list[int] = []
        self.requests: list[tuple[str, str, str | None]] = []  # method, path, Range

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: LoopbackHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing: tests read `requests`."""

    def do_HEAD(self) -> None:  # noqa: N802  http.server's name
        self._answer(body=False)

    def do_GET(self) -> None:  # noqa: N802
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append((self.command, path, self.headers.get("Range")))
        if listing := re.fullmatch(r"/api/(?:models/)?(.+)/revision/[^/]+", path):
            files = self.server.files.get(listing[1])
            if files is None:
                return self._refuse("RepoNotFound")
            siblings = [{"rfilename": name, "size": len(data)} for name, data in files.items()]
            info = {"id": listing[1].removeprefix("datasets/"), "sha": COMMIT, "siblings": siblings}
            return self._send(json.dumps(info | {"private": False, "tags": []}).encode(), body)
        if listing := re.fullmatch(r"/api/(?:models/)?(.+)/tree/[^/]+", path):
            files = self.server.files[listing[1]]
            tree = [
                {"type": "file", "path": n, "size": len(d), "oid": hashlib.sha1(d).hexdigest()}
                for n, d in files.items()
            ]
            return self._send(json.dumps(tree).encode(), body)
        asked = re.fullmatch(r"/(.+)/resolve/[^/]+/(.+)", path)
        data = self.server.files.get(asked[1], {}).get(asked[2]) if asked else None
        if data is None:
            return self._refuse("EntryNotFound")
        return self._send(data, body)

    def _refuse(self, code: str) -> None:
        self.send_response(404)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, body: bool) -> None:
        start = 0
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(ranged[1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("ETag", f'"{hashlib.sha1(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if not body:
            return
        if self.server.cuts and "/resolve/" in self.path:
            self.wfile.write(data[start : start + self.server.cuts.pop(0)])
            self.close_connection = True
            return
        self.wfile.write(data[start:])


@contextmanager
def connected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """The hub that huggingface_hub talks to until the block ends; nothing is cached elsewhere."""
    with LoopbackHub() as hub:
        template = f"{hub.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        changes = {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": template,
            "HF_HUB_OFFLINE": False,
            "HF_HUB_CACHE": str(tmp_path / "hub_cache"),
            "DOWNLOAD_CHUNK_SIZE": CHUNK,
        }
        for name, value in changes.items():
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        thread = threading.Thread(target=hub.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
