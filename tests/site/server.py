"""A server of a folder on this machine, that remembers what was asked for in vain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(SimpleHTTPRequestHandler):
    """Says nothing, and notes each answer of 400 or above."""

    def __init__(self, *args: Any, missing: list[str], **kwargs: Any) -> None:
        self.missing = missing
        super().__init__(*args, **kwargs)

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send_error(self, code: int, *args: Any, **kwargs: Any) -> None:
        self.missing.append(f"{code} {self.path}")
        super().send_error(code, *args, **kwargs)


@contextmanager
def serve(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of the folder's files, and the list of what was missing."""
    missing: list[str] = []
    handler = partial(Handler, directory=str(folder), missing=missing)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", missing
        finally:
            server.shutdown()
            thread.join()
