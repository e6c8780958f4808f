"""A Hub of one tiny dataset, ``owner/tiny``, on this machine: enough of its API to be loaded.

Run as a script it prints, as JSON lines, what `load_data` makes of it while it answers and after
it is gone. The addresses of the Hub are fixed when the library is imported, so this needs a
process of its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "a" * 40
FILES = {
    f"{name}.csv": ("a,b,label\n" + "".join(f"{k},{k * k},{k % 3}\n" for k in range(n))).encode()
    for name, n in (("train", 12), ("test", 6))
}


class Hub(BaseHTTPRequestHandler):
    """Answers for the files above; anything else is not found."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        """Send one response."""
        self.send_response(status)
        fields = {"Content-Length": str(len(body)), "X-Repo-Commit": COMMIT, **headers}
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        """Answer for a file, the tree or the dataset."""
        path = self.path.split("?")[0]
        if not re.match(r"(/api)?/datasets/owner/tiny|/$", path):
            self.answer(404, b"{}", X_Error_Code="RepoNotFound")
        elif match := re.match(r"/datasets/owner/tiny/resolve/[^/]+/(.*)", path):
            content = FILES.get(match[1])
            if content is None:
                self.answer(404, b"", X_Error_Code="EntryNotFound")
            else:
                self.answer(200, content, ETag=f'"{hashlib.sha1(content).hexdigest()}"')
        elif "/tree/" in path:
            rows = [{"type": "file", "path": f, "size": len(c), "oid": f} for f, c in FILES.items()]
            self.answer(200, json.dumps(rows).encode(), Content_Type="application/json")
        else:
            about = {"id": "owner/tiny", "sha": COMMIT, "siblings": []}
            self.answer(200, json.dumps(about).encode(), Content_Type="application/json")

    do_HEAD = do_GET


def main() -> None:
    """Load with the Hub there, then without it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"

    from vcviz.base.errors import InputError
    from vcviz.data import load_data

    def attempt(name: str, **options: str) -> None:
        start = time.perf_counter()
        try:
            train, test = load_data(name, progress=False, **options)
            found = {"rows": [len(train), len(test)], "name": train.name}
        except InputError as error:
            found = {"error": type(error).__name__, "message": str(error)}
        print(json.dumps({**found, "seconds": time.perf_counter() - start}))

    attempt("hub:owner/tiny")
    attempt("hub:owner/absent")
    server.shutdown()
    server.server_close()
    attempt("hub:owner/tiny")
    attempt("hub:owner/absent")
    attempt("hub:owner/tiny", revision="v2")


if __name__ == "__main__":
    sys.exit(main())
