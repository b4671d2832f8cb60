"""A hub on 127.0.0.1 with the routes that huggingface_hub asks for: downloads, and commits."""

import base64
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
        self.private: set[str] = set()
        self.is_closed = False  # to uploads
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

    def do_POST(self) -> None:  # noqa: N802
        path = unquote(urlsplit(self.path).path)
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.command, path, None))
        if self.server.is_closed:
            return self._refuse("", 403)
        if path == "/api/repos/create":
            asked = json.loads(sent)
            name = f"{asked['organization']}/{asked['name']}"
            status = 409 if name in self.server.files else 200
            self.server.files.setdefault(name, {".gitattributes": b""})
            if asked.get("visibility") == "private":
                self.server.private.add(name)
            return self._send(
                json.dumps({"url": f"{self.server.url}/{name}"}).encode(), True, status
            )
        if path == "/api/validate-yaml":
            return self._send(b'{"errors": [], "warnings": []}', True)
        if re.fullmatch(r"/api/models/.+/preupload/[^/]+", path):
            asked = json.loads(sent)["files"]
            modes = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in asked
            ]
            return self._send(json.dumps({"files": modes}).encode(), True)
        (name,) = re.fullmatch(r"/api/models/(.+)/commit/[^/]+", path).groups()
        self._commit(self.server.files[name], [json.loads(line) for line in sent.splitlines()])
        answer = {"commitUrl": f"{self.server.url}/{name}/commit/{COMMIT}", "commitOid": COMMIT}
        return self._send(json.dumps(answer | {"success": True}).encode(), True)

    @staticmethod
    def _commit(files: dict[str, bytes], operations: list[dict]) -> None:
        for operation in operations:
            value = operation["value"]
            if operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "deletedFile":
                del files[value["path"]]
            else:
                assert operation["key"] == "header", operation

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

    def _refuse(self, code: str, status: int = 404) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, data: bytes, body: bool, status: int = 200) -> None:
        start = 0
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(ranged[1])
        self.send_response(206 if start else status)
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
