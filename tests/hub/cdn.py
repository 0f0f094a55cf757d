"""The Hub's second host, which has the large files."""

from __future__ import annotations

from hub.answers import Handler
from hub.store import sha256


class CdnHandler(Handler):
    """GET with Range, PUT from uploads."""

    def do_GET(self) -> None:
        digest = self.path.rpartition("/")[2]
        self.hub.log.append(f"data {self.headers.get('Range', '')}")
        if self.headers.get("Authorization"):
            return self.refuse(400, "TokenSentToCdn")
        if not self.strike("data"):
            self.send_data(self.hub.store.blobs[digest], ETag=f'"{digest}"')

    def do_PUT(self) -> None:
        digest = self.path.rpartition("/")[2]
        self.hub.log.append("upload")
        content = self.body()
        if self.strike("upload"):
            return
        if sha256(content) != digest:
            return self.refuse(400, "BadDigest")
        self.hub.store.blobs[digest] = content
        self.send(200, ETag=f'"{digest}"')
