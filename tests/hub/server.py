"""The Hub's HTTP interface on one loopback port, and its CDN on a second."""

from __future__ import annotations

import re
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hub.cdn import CdnHandler
from hub.faults import Faults
from hub.store import Store
from hub.writing import WritingHandler

ROUTES = [
    ("GET", r"/api/whoami-v2", "whoami"),
    ("POST", r"/api/repos/create", "create"),
    ("GET", r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?", "info"),
    ("GET", r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/.*)?", "tree"),
    ("GET", r"/api/models/([^/]+/[^/]+)/refs", "refs"),
    ("GET", r"/api/models/([^/]+/[^/]+)/commits/([^/]+)", "commits"),
    ("POST", r"/api/models/([^/]+/[^/]+)/paths-info/([^/]+)", "paths_info"),
    ("POST", r"/api/models/([^/]+/[^/]+)/preupload/([^/]+)", "preupload"),
    ("POST", r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", "commit"),
    ("POST", r"/api/validate-yaml", "validate_yaml"),
    ("POST", r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", "batch"),
    ("HEAD", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
    ("GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "resolve"),
]


class Hub:
    """A running server: `store` to fill, `faults` to switch on, `log` of what was asked."""

    def __init__(self) -> None:
        self.store, self.faults = Store(), Faults()
        self.log: list[str] = []
        self.sent = 0
        self.moves: list[tuple[str, dict[str, bytes]]] = []  # what a `move` fault commits
        self._servers = [Server(self, HubHandler), Server(self, CdnHandler)]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{s.server_port}" for s in self._servers)
        for server in self._servers:
            Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def counts(self) -> Counter[str]:
        """How often each place was asked, as `data`, `info`, ..."""
        return Counter(line.split()[0] for line in self.log)

    def __enter__(self) -> Hub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub, handler: type[BaseHTTPRequestHandler]) -> None:
        self.hub = hub
        super().__init__(("127.0.0.1", 0), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that goes away is part of the tests


class HubHandler(WritingHandler):
    """Finds the method of a route, unless a fault strikes first."""

    def _dispatch(self) -> None:
        url = urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(url.query).items()}
        for method, pattern, name in ROUTES:
            match = re.fullmatch(pattern, url.path)
            if match and method == self.command:
                self.hub.log.append(f"{name} {self.command} {url.path}")
                if not self.strike(name):
                    getattr(self, f"on_{name}")(
                        *(part and unquote(part) for part in match.groups())
                    )
                return
        self.body()
        self.hub.log.append(f"unknown {self.command} {self.path}")
        self.refuse(404, "NotFound", self.path)

    do_GET = do_POST = do_HEAD = _dispatch
