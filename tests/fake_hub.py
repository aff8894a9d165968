"""
A Hub on the loopback interface that speaks to the real client: repositories with commits, large files by git LFS,
downloads with redirects to another host. It counts what it is asked for, and fails where it is told to.

A client in another process finds it by [`FakeHub.environment`]; one in this process by [`FakeHub.play`].
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import close_session, constants


TOKEN = "hf_secretTokenOfATest"
USER = "user"
LARGE = (".safetensors", ".parquet", ".png")


@dataclass(frozen=True)
class StoredFile:
    content: bytes
    lfs: bool

    @property
    def oid(self) -> str:
        """What the Hub names a file by: its SHA-256, or git's SHA-1 of a small one."""
        if self.lfs:
            return hashlib.sha256(self.content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(self.content) + self.content).hexdigest()

    def info(self, path: str) -> dict:
        facts = {"type": "file", "path": path, "size": len(self.content), "oid": self.oid}
        if self.lfs:
            facts["lfs"] = {"oid": self.oid, "size": len(self.content), "pointerSize": 130}
        return facts


@dataclass
class Repository:
    private: bool
    objects: dict[str, bytes] = field(default_factory=dict)
    #: Of each commit its name, its summary and all files after it. The first is the Hub's own.
    commits: list[tuple[str, str, dict[str, StoredFile]]] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        return {path: file.content for path, file in self.commits[-1][2].items()}

    def commit(self, summary: str, files: dict[str, StoredFile]) -> str:
        facts = [len(self.commits), summary, sorted((path, file.oid) for path, file in files.items())]
        self.commits.append((hashlib.sha1(json.dumps(facts).encode()).hexdigest(), summary, files))
        return self.commits[-1][0]

    def at(self, revision: str) -> tuple[str, dict[str, StoredFile]]:
        if revision == "main":
            return self.commits[-1][0], self.commits[-1][2]
        for sha, _, files in self.commits:
            if sha == revision:
                return sha, files
        raise Refusal(404, {"X-Error-Code": "RevisionNotFound"})


@dataclass
class Failure:
    """
    What happens to requests whose `"METHOD /path"` matches, once `after` of them were served: `"cut"` ends the
    connection in the middle of the body and does nothing, `"lose"` does all and ends the connection before the answer,
    a number is the status of the answer.
    """

    pattern: str
    how: str | int
    times: int
    after: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


class Refusal(Exception):
    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers or {}


class FakeHub:
    """Use as a context manager; `repositories` is by kind and name, such as `"models/user/demo"`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.failures: list[Failure] = []
        #: All requests, as `"METHOD /path"`, and the objects whose upload arrived whole.
        self.requests: list[str] = []
        self.uploads: list[str] = []
        self.lock = threading.Lock()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"hub": self}))
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> FakeHub:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, home: object) -> dict[str, str]:
        """Of a client in another process."""
        ours = {"HF_ENDPOINT": self.url, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home), "HF_TOKEN": TOKEN}
        ours |= {"HF_HUB_OFFLINE": "0", "NO_PROXY": "*", "HF_HUB_DISABLE_TELEMETRY": "1"}
        return os.environ | ours

    def play(self, monkeypatch, home: object) -> None:
        """Makes a client in this process, whose settings are read already, turn here."""
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setenv("NO_PROXY", "*")
        values = {"ENDPOINT": self.url, "HF_HUB_DISABLE_XET": True, "HF_HUB_OFFLINE": False}
        for name, value in (values | {"HF_TOKEN_PATH": f"{home}/token"}).items():
            monkeypatch.setattr(constants, name, value)
        # The Trainer's client keeps the address it was made with, sessions keep proxies and connections.
        monkeypatch.setattr("transformers.utils.hub._hf_api", None, raising=False)
        close_session()

    def fail(self, pattern: str, how: str | int, times: int = 1, **details: Any) -> None:
        """See [`Failure`]; `times` counts the requests that match."""
        self.failures.append(Failure(pattern, how, times, **details))

    def count(self, pattern: str) -> int:
        """How many requests matched."""
        return sum(re.search(pattern, request) is not None for request in self.requests)

    def note(self, request: str) -> Failure | None:
        """Writes a request down and returns what is to go wrong with it."""
        with self.lock:
            self.requests.append(request)
            for failure in self.failures:
                if not failure.times or not re.search(failure.pattern, request):
                    continue
                if failure.after:
                    failure.after -= 1
                else:
                    failure.times -= 1
                    return failure
        return None


class Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"
    lost = False

    def log_message(self, *_: object) -> None:
        pass

    def handle_request(self) -> None:
        self.route = urlsplit(self.path).path
        failure = self.hub.note(f"{self.command} {self.route}")
        if failure and failure.how == "cut":
            return self.cut()
        self.body = self.read_body()
        if failure and failure.how != "lose":
            text = failure.body or json.dumps({"error": f"no, {self.headers.get('Authorization')}"})
            return self.answer(int(failure.how), text.encode(), failure.headers)
        self.lost = failure is not None
        try:
            self.dispatch()
        except Refusal as refusal:
            self.answer(refusal.status, b"{}", refusal.headers)
        return None

    do_GET = do_HEAD = do_POST = do_PUT = handle_request

    def cut(self) -> None:
        half = int(self.headers.get("Content-Length", 0)) // 2
        if half:
            self.rfile.read(half)
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, status: int, content: bytes = b"", headers: dict[str, str] | None = None) -> None:
        if self.lost:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(content))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def json(self, value: object, status: int = 200) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})

    # Routes.

    def dispatch(self) -> None:
        for pattern, method in (
            (r"/api/whoami-v2", self.whoami),
            (r"/api/repos/create", self.create),
            (r"/api/validate-yaml", self.validate),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/preupload/([^/]+)", self.preupload),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/commit/([^/]+)", self.commit),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/paths-info/([^/]+)", self.paths_info),
            (r"/api/(models|datasets)/([^/]+/[^/]+)/tree/([^/]+)(?:/(.*))?", self.tree),
            (r"/api/(models|datasets)/([^/]+/[^/]+)(?:/revision/([^/]+))?", self.info),
            (r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", self.batch),
            (r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.resolve),
            (r"/lfs/(models|datasets)/([^/]+/[^/]+)/verify", self.verify),
            (r"/lfs/(models|datasets)/([^/]+/[^/]+)/([0-9a-f]{64})", self.large_file),
        ):
            if match := re.fullmatch(pattern, self.route):
                return method(*(unquote(part) if part else part for part in match.groups()))
        raise Refusal(404)

    def check_token(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refusal(401, {"X-Error-Message": "Invalid credentials in Authorization header"})

    def repository(self, kind: str | None, name: str, write: bool = False) -> Repository:
        kind = "datasets" if kind == "datasets/" else kind or "models"
        found = self.hub.repositories.get(f"{kind}/{name}")
        if write or (found and found.private):
            self.check_token()
        if found is None:
            raise Refusal(404, {"X-Error-Code": "RepoNotFound"})
        return found

    def whoami(self) -> None:
        self.check_token()
        self.json({"type": "user", "name": USER})

    def create(self) -> None:
        self.check_token()
        wanted = json.loads(self.body)
        name = f"{wanted['organization'] or USER}/{wanted['name']}"
        kind = f"{wanted.get('type') or 'model'}s"
        with self.hub.lock:
            known = f"{kind}/{name}" in self.hub.repositories
            if not known:
                repository = Repository(wanted.get("visibility") == "private")
                repository.commit("initial commit", {".gitattributes": StoredFile(b"*.png filter=lfs", False)})
                self.hub.repositories[f"{kind}/{name}"] = repository
        url = f"{self.hub.url}/{'datasets/' if kind == 'datasets' else ''}{name}"
        self.json({"url": url, "name": name}, 409 if known else 200)

    def validate(self) -> None:
        bad = "license: nonsense" in json.loads(self.body)["content"]
        errors = [{"message": '"license" must be one of those known'}] if bad else []
        self.json({"errors": errors, "warnings": []}, 400 if bad else 200)

    def preupload(self, kind: str, name: str, revision: str) -> None:
        _, files = self.repository(kind, name, write=True).at(revision)
        asked = json.loads(self.body)["files"]
        modes = {file["path"]: "lfs" if file["path"].endswith(LARGE) else "regular" for file in asked}
        answers = []
        for path, mode in modes.items():
            known = {"oid": files[path].oid} if path in files else {}
            answers.append({"path": path, "uploadMode": mode, "shouldIgnore": False} | known)
        self.json({"files": answers})

    def batch(self, kind: str | None, name: str) -> None:
        repository = self.repository(kind, name, write=True)
        base = f"{self.hub.url}/lfs/{'datasets' if kind else 'models'}/{name}"
        answers = []
        for item in json.loads(self.body)["objects"]:
            actions = {"upload": {"href": f"{base}/{item['oid']}"}, "verify": {"href": f"{base}/verify"}}
            answers.append(item | ({} if item["oid"] in repository.objects else {"actions": actions}))
        self.json({"transfer": "basic", "objects": answers})

    def large_file(self, kind: str, name: str, oid: str) -> None:
        """The store beside the Hub: addresses to it are signed, a token has no business there."""
        assert "Authorization" not in self.headers
        objects = self.hub.repositories[f"{kind}/{name}"].objects
        if self.command != "PUT":
            return self.send_file(objects[oid], {"ETag": f'"{oid}"'})
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise Refusal(400)
        objects[oid] = self.body
        self.hub.uploads.append(oid)
        return self.answer(200)

    def verify(self, kind: str, name: str) -> None:
        objects, asked = self.repository(kind, name, write=True).objects, json.loads(self.body)
        good = len(objects.get(asked["oid"], b"")) == asked["size"]
        self.json({}, 200 if good else 404)

    def commit(self, kind: str, name: str, revision: str) -> None:
        repository = self.repository(kind, name, write=True)
        header, *lines = [json.loads(line) for line in self.body.splitlines()]
        with self.hub.lock:
            files = dict(repository.at(revision)[1])
            for line in lines:
                value = line["value"]
                if line["key"] == "file":
                    files[value["path"]] = StoredFile(base64.b64decode(value["content"]), False)
                elif line["key"] == "lfsFile":
                    files[value["path"]] = StoredFile(repository.objects[value["oid"]], True)
                else:
                    raise Refusal(400)
            sha = repository.commit(header["value"]["summary"], files)
        self.json({"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{name}/commit/{sha}"})

    def info(self, kind: str, name: str, revision: str | None) -> None:
        repository = self.repository(kind, name)
        sha, files = repository.at(revision or "main")
        facts = {"_id": "0", "id": name, "sha": sha, "private": repository.private, "tags": [], "downloads": 0}
        self.json(facts | {"likes": 0, "gated": False, "siblings": [{"rfilename": path} for path in files]})

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        _, files = self.repository(kind, name).at(revision)
        form = self.headers["Content-Type"].startswith("application/x-www-form-urlencoded")
        asked = parse_qs(self.body.decode())["paths"] if form else json.loads(self.body)["paths"]
        found = [files[path].info(path) for path in asked if path in files]
        folders = [path for path in asked if any(other.startswith(f"{path}/") for other in files)]
        self.json(found + [_folder(path) for path in folders])

    def tree(self, kind: str, name: str, revision: str, folder: str | None) -> None:
        _, files = self.repository(kind, name).at(revision)
        start = f"{folder.rstrip('/')}/" if folder else ""
        below = {path: file for path, file in files.items() if path.startswith(start)}
        if not below:
            raise Refusal(404, {"X-Error-Code": "EntryNotFound"})
        entries = {}
        recursive = parse_qs(urlsplit(self.path).query).get("recursive", ["false"])[0].lower() in ("true", "1")
        for path, file in below.items():
            parts = path.removeprefix(start).split("/")
            for depth in range(1, len(parts) if recursive else min(len(parts), 2)):
                parent = start + "/".join(parts[:depth])
                entries[parent] = _folder(parent)
            if recursive or len(parts) == 1:
                entries[path] = file.info(path)
        self.json(list(entries.values()))

    def resolve(self, kind: str | None, name: str, revision: str, path: str) -> None:
        sha, files = self.repository(kind, name).at(revision)
        if path not in files:
            raise Refusal(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
        file = files[path]
        if not file.lfs:
            return self.send_file(file.content, {"ETag": f'"{file.oid}"', "X-Repo-Commit": sha})
        # By another name, so that to the client it is another host, as the Hub's store is.
        store = f"http://localhost:{self.hub.port}/lfs/{'datasets' if kind else 'models'}/{name}/{file.oid}"
        linked = {"X-Linked-ETag": f'"{file.oid}"', "X-Linked-Size": str(len(file.content))}
        return self.answer(302, b"", linked | {"Location": store, "X-Repo-Commit": sha})

    def send_file(self, content: bytes, headers: dict[str, str]) -> None:
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if wanted is None:
            return self.answer(200, content, headers)
        first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        headers = headers | {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
        return self.answer(206, content[first : last + 1], headers)


def _folder(path: str) -> dict:
    return {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(path.encode()).hexdigest()}
