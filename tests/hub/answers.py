"""How the test Hub answers: plainly, or with the fault that a test has switched on."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
import zlib
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any

from hub.faults import Fault

if TYPE_CHECKING:
    from hub.server import Hub, Server

STALL = 30.0
FLOOD = 2**28
BODY_FAULTS = (
    "corrupt", "truncate", "cut", "close", "stall", "long", "html", "range", "no_range", "drip",
    "gzip_bomb", "flood",
)  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    @property
    def hub(self) -> Hub:
        return self.server.hub

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def send(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if not any(name.lower() == "content_length" for name in headers):
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def send_json(self, value: Any, status: int = 200, **headers: str) -> None:
        self.send(status, json.dumps(value).encode(), Content_Type="application/json", **headers)

    def refuse(self, status: int, code: str, message: str = "") -> None:
        self.send(status, b"", X_Error_Code=code, X_Error_Message=message or code)

    def reset(self) -> None:
        """Close so that the other side sees ECONNRESET."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()
        raise ConnectionAbortedError

    def strike(self, place: str) -> bool:
        """Carry out a fault that replaces the whole answer; whether there was one."""
        fault = self.hub.faults.take(place, ("status", "reset", "junk"))
        if fault is None:
            return False
        if fault.kind == "reset":
            self.reset()
        elif fault.kind == "junk":
            self.send_json([{"sha": 7, "siblings": "no"}, None, 3])
        else:
            headers = {k.replace("-", "_"): v for k, v in fault.headers.items()}
            self.send(fault.status, b"fault", **headers)
        return True

    def send_data(self, content: bytes, place: str = "data", **headers: str) -> None:
        """Content with Range, under the faults that bend a body."""
        start = self._range_start(len(content))
        fault = self.hub.faults.take(place, BODY_FAULTS)
        if start is None:
            return self.send(416, Content_Range=f"bytes */{len(content)}")
        if fault and fault.kind == "no_range":
            start = 0
        at = max(0, start - 3) if fault and fault.kind == "range" and start else start
        part = content[at:][: len(content) - start]
        status = 206 if start else 200
        if start:
            headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if fault and fault.kind not in ("range", "no_range"):
            return self._bent(fault, status, part, headers)
        self.send(status, part, **headers)

    def _range_start(self, size: int) -> int | None:
        match = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        start = int(match[1]) if match else 0
        return None if match and start >= size else start

    def _bent(self, fault: Fault, status: int, part: bytes, headers: dict[str, str]) -> None:
        half = part[: len(part) // 2]
        if fault.kind == "corrupt":
            middle = len(part) // 2
            flipped = bytes([part[middle] ^ 0x10]) if part else b""
            return self.send(status, part[:middle] + flipped + part[middle + 1 :], **headers)
        if fault.kind == "truncate":
            return self.send(status, half, **headers)
        if fault.kind == "long":
            return self.send(status, part + b"\0" * 1000, **headers)
        self.close_connection = True
        if fault.kind in ("html", "gzip_bomb"):
            self.send_response(200)
            self.send_header("Connection", "close")
            if fault.kind == "gzip_bomb":
                self.send_header("Content-Encoding", "gzip")
                page = zlib.compress(b"\0" * 200_000_000, 9, wbits=31)
            else:
                page = b"<!doctype html><html>Please log in to the network</html>"
            self.end_headers()
            self.wfile.write(page)
            return
        if fault.kind == "flood":
            return self._flood()
        self.send(status, b"", Content_Length=str(len(part)), **headers)
        if fault.kind == "drip":
            for byte in part:
                self.wfile.write(bytes([byte]))
                time.sleep(0.2)
            return
        self.wfile.write(half)
        self.wfile.flush()
        if fault.kind == "stall":
            time.sleep(STALL)
        if fault.kind != "close":
            self.reset()

    def _flood(self) -> None:
        self.send_response(200)
        self.end_headers()
        while self.hub.sent < FLOOD:
            self.wfile.write(b"\0" * 65536)
            self.hub.sent += 65536
