"""A Hugging Face Hub of the tests' own: the endpoints that huggingface_hub uses for models, on this machine."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlparse


class SmallHub:
    """Repositories in memory: name → list of commits, each file name → content.

    `cut_after` bytes of a file's content, a connection breaks; `requests` are all that came.
    """

    def __init__(self) -> None:
        self.repos: dict[str, list[dict[str, bytes]]] = {}
        self.objects: dict[str, bytes] = {}
        self.cut_after: int | None = None
        self.sizes: dict[str, int] = {}  # that it claims for files, if they are not the true ones
        self.requests: list[tuple[str, str, str]] = []  # method, path, Range
        self.url = ""

    def commit_id(self, repo: str, number: int) -> str:
        return sha1(f"{repo} {number}".encode()).hexdigest()

    def put(self, repo: str, files: dict[str, bytes]) -> str:
        """Add a commit with these files, and return its id."""
        self.repos.setdefault(repo, []).append(files)
        return self.commit_id(repo, len(self.repos[repo]) - 1)

    def find(self, repo: str, revision: str) -> tuple[str, dict[str, bytes]] | None:
        commits = self.repos[repo]
        if revision == "main":
            return self.commit_id(repo, len(commits) - 1), commits[-1]
        return next(((revision, files) for n, files in enumerate(commits) if self.commit_id(repo, n) == revision), None)


class _Handler(BaseHTTPRequestHandler):
    hub: SmallHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments: Any) -> None:
        pass

    def answer(self, code: int, content: Any = b"", **headers: str) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def missing(self, kind: str) -> None:
        self.answer(404, {"error": kind}, X_Error_Code=kind)

    def do_GET(self) -> None:
        hub, path = self.hub, unquote(urlparse(self.path).path)
        hub.requests.append((self.command, path, self.headers.get("Range", "")))
        parts = path.strip("/").split("/")
        of_api = parts[:2] == ["api", "models"]
        repo = "/".join(parts[2:4] if of_api else parts[:2])
        if repo not in hub.repos:
            return self.missing("RepoNotFound")
        rest = parts[4:] if of_api else parts[2:]
        found = hub.find(repo, rest[1] if len(rest) > 1 else "main")
        if found is None:
            return self.missing("RevisionNotFound")
        commit, files = found
        if not of_api:
            return self.resolve(commit, files, "/".join(rest[2:]))
        if rest[:1] == ["tree"]:
            return self.answer(200, [self.entry(name, content) for name, content in files.items()])
        siblings = [
            {"rfilename": name, "size": hub.sizes.get(name, len(content)), "blobId": sha1(content).hexdigest()}
            for name, content in files.items()
        ]
        self.answer(200, {"id": repo, "modelId": repo, "sha": commit, "siblings": siblings, "private": False})

    do_HEAD = do_GET

    def entry(self, name: str, content: bytes) -> dict[str, Any]:
        entry = {"type": "file", "path": name, "oid": sha1(content).hexdigest(), "size": len(content)}
        if name.endswith(".safetensors"):
            entry["lfs"] = {"oid": sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
        return entry

    def resolve(self, commit: str, files: dict[str, bytes], name: str) -> None:
        if name not in files:
            return self.missing("EntryNotFound")
        content, given = files[name], self.headers.get("Range", "")
        headers = {"X_Repo_Commit": commit, "ETag": f'"{sha256(content).hexdigest()}"', "Accept_Ranges": "bytes"}
        begin = int(given.removeprefix("bytes=").split("-")[0]) if given else 0
        if self.command == "GET" and self.hub.cut_after is not None and len(content) - begin > self.hub.cut_after:
            self.send_response(206 if given else 200)
            for key, value in ({"Content-Length": str(len(content) - begin)} | headers).items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(content[begin : begin + self.hub.cut_after])
            self.wfile.flush()
            self.close_connection = True
            return self.connection.close()
        if given:
            headers["Content_Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        self.answer(206 if given else 200, content[begin:], **headers)

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.hub.objects[self.path.rsplit("/", 1)[1]] = content
        self.answer(200)

    def do_POST(self) -> None:
        hub, path = self.hub, unquote(urlparse(self.path).path)
        body = self.body()
        hub.requests.append((self.command, path, ""))
        if self.headers.get("Authorization") != "Bearer hf_of_the_test":
            return self.answer(401, {"error": "who are you?"})
        if path == "/api/repos/create":
            given = json.loads(body)
            repo = f"{given.get('organization') or 'user'}/{given['name']}"
            hub.repos.setdefault(repo, [{".gitattributes": b""}])
            return self.answer(200, {"url": f"{hub.url}/{repo}", "id": repo, "name": repo})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        repo = "/".join(path.removeprefix("/api/models").strip("/").split("/")[:2]).removesuffix(".git")
        if path.endswith("/objects/batch"):
            objects = [
                entry | {"actions": {"upload": {"href": f"{hub.url}/lfs/{entry['oid']}"}}}
                for entry in json.loads(body)["objects"]
            ]
            return self.answer(200, {"transfer": "basic", "objects": objects})
        if "/preupload/" in path:
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        files = dict(hub.repos[repo][-1])
        for line in map(json.loads, body.splitlines()):
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = hub.objects[value["oid"]]
        commit = hub.put(repo, files)
        self.answer(200, {"success": True, "commitOid": commit, "commitUrl": f"{hub.url}/{repo}/commit/{commit}"})

    def body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found


@contextmanager
def small_hub() -> Iterator[SmallHub]:
    """A server, until the end of the block."""
    hub = SmallHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
