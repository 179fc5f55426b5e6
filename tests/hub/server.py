"""A server that speaks as much of the hub's protocol as pushing and reading take."""

import base64
import hashlib
import http.server
import json
import re
from typing import Any


class Hub(http.server.ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests, self.blobs = [], {}  # what was asked; LFS content by its SHA-256
        self.commits = {}  # of each repository, each {name: (content, is in LFS)}

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


def _commit_id(number):
    return f"{number:040x}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_):
        pass

    def answer(self, status, content: Any = b"", **headers):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            headers["Content-Type"] = "application/json"
        self.send_response(status)
        for name, value in ({"Content-Length": len(content)} | headers).items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def body(self):
        self.server.requests.append((self.command, self.path))
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def do_PUT(self):
        self.server.blobs[self.path.removeprefix("/lfs/")] = self.body()
        self.answer(200)

    def do_POST(self):
        body, commits = self.body(), self.server.commits
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            repo = "/".join(filter(None, (asked.get("organization"), asked["name"])))
            is_new = repo not in commits
            commits.setdefault(repo, [])
            url = {"url": f"{self.server.url}/{repo}", "id": repo, "name": repo}
            self.answer(200 if is_new else 409, url)
        elif self.path == "/api/validate-yaml":
            self.answer(200, {"errors": [], "warnings": []})
        elif self.path.endswith("/objects/batch"):
            objects = [
                {
                    **asked,
                    "actions": {
                        "upload": {"href": f"{self.server.url}/lfs/{asked['oid']}"}
                    },
                }
                for asked in json.loads(body)["objects"]
            ]
            self.answer(200, {"transfer": "basic", "objects": objects})
        elif "/preupload/" in self.path:
            files = [
                {
                    "path": asked["path"],
                    "shouldIgnore": False,
                    "uploadMode": "lfs"
                    if asked["path"].endswith(".safetensors")
                    else "regular",
                }
                for asked in json.loads(body)["files"]
            ]
            self.answer(200, {"files": files})
        elif "/commit/" in self.path:
            repo = self.path.removeprefix("/api/models/").partition("/commit/")[0]
            files = dict(commits[repo][-1]) if commits[repo] else {}
            for line in map(json.loads, body.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    content = base64.b64decode(value["content"])
                    files[value["path"]] = content, False
                elif line["key"] == "lfsFile":
                    content = self.server.blobs[value["oid"]]
                    files[value["path"]] = content, True
            commits[repo].append(files)
            oid = _commit_id(len(commits[repo]))
            url = f"{self.server.url}/{repo}/commit/{oid}"
            self.answer(200, {"commitUrl": url, "commitOid": oid, "success": True})
        else:
            self.answer(404)

    def do_GET(self):
        self.body()
        match = re.fullmatch("/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        if not match:
            return self.answer(404)
        repo, revision, name = match.groups()
        if repo == "me/private":
            return self.answer(401, X_Error_Code="GatedRepo", X_Error_Message="no")
        commits = self.server.commits.get(repo)
        if not commits:
            return self.answer(404, X_Error_Code="RepoNotFound")
        number = len(commits) if revision == "main" else int(revision, 16)
        content, is_lfs = commits[number - 1][name]
        kind = hashlib.sha256 if is_lfs else hashlib.sha1
        tag = f'"{kind(content).hexdigest()}"'
        linked = {"X_Linked_Etag": tag, "X_Linked_Size": len(content)} if is_lfs else {}
        if is_lfs and self.command == "GET":
            content = self.server.blobs[tag.strip('"')]  # as it is now
        facts = {"ETag": tag, "X_Repo_Commit": _commit_id(number)}
        return self.answer(200, content, **facts, **linked)

    do_HEAD = do_GET
