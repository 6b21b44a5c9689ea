"""A server with the interface of S3 and nothing behind it: it lists versions until as many were deleted.

`python -m benchmarks._null_bucket VERSIONS [KEYS_A_SECOND]` prints its port. Above the rate, with a second's
worth in store, it answers 503.
"""

import json
import sys
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE = 1000
_TOKEN = b"@@@@@@@"
_VERSION = (
    "<Version><Key>goes/{token}/a-name-as-they-are-{one:04}</Key><VersionId>of-{token}-{one:04}-3LgKnbTs"
    "</VersionId><IsLatest>false</IsLatest><LastModified>2026-11-23T10:00:00.123Z</LastModified><ETag>&#34;"
    "d41d8cd98f00b204e9800998ecf8427e&#34;</ETag><Size>4096</Size><Owner><ID>owner</ID></Owner>"
    "<StorageClass>STANDARD</StorageClass></Version>"
)


@cache
def page() -> bytes:
    """Return a page of which each is made by its number."""
    versions = "".join(_VERSION.format(token=_TOKEN.decode(), one=one) for one in range(PAGE))
    return versions.encode()


def listing(number: int, last: int) -> bytes:
    """Return one page, or the end."""
    if number > last:
        return b"<ListVersionsResult><IsTruncated>false</IsTruncated></ListVersionsResult>"
    versions = page().replace(_TOKEN, b"%07d" % number)
    more = b"true" if number < last else b"false"
    return (
        b"<ListVersionsResult><EncodingType>url</EncodingType><IsTruncated>%s</IsTruncated><NextKeyMarker>goes/"
        b"%07d</NextKeyMarker><NextVersionIdMarker>x</NextVersionIdMarker>%s</ListVersionsResult>"
        % (more, number, versions)
    )


@cache
def deletion(count: int) -> bytes:
    """Return the answer to a batch."""
    name = b"<Key>goes/0000000/a-name-as-they-are-0000</Key><VersionId>of-0000000-0000-3LgKnbTs</VersionId>"
    one = b"<Deleted>%s</Deleted>" % name
    return b"<DeleteResult>%s</DeleteResult>" % (one * count)


class Null(ThreadingHTTPServer):
    """Counts, and refuses what comes too fast."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, versions: int, limit: float) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.last = versions // PAGE
        self.versions, self.limit, self.store = versions, limit, limit
        self.taken = self.refused = 0
        self.begun = self.ended = 0.0
        self.lock = threading.Lock()

    def accepts(self, cost: int) -> bool:
        """Say whether a batch comes slowly enough, and count it."""
        with self.lock:
            now = time.monotonic()
            self.store = min(self.limit, self.store + (now - (self.ended or now)) * self.limit)
            self.begun, self.ended = self.begun or now, now
            well = not self.limit or self.store >= cost
            self.store -= cost if well else 0
            self.taken += cost if well else 0
            self.refused += 0 if well else cost
            return well


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Null

    def do_GET(self) -> None:
        """Answer a listing, or what was counted."""
        asked = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        server = self.server
        if "versions" in asked:
            marker = asked.get("key-marker", ["goes/0"])[0]
            number = 1 + int(marker.removeprefix("goes/"))
            self._say(200, listing(number, server.last if server.taken < server.versions else 0))
        elif "uploads" in asked:
            self._say(200, b"<ListMultipartUploadsResult></ListMultipartUploadsResult>")
        else:
            told = {"taken": server.taken, "refused": server.refused, "seconds": server.ended - server.begun}
            self._say(200, json.dumps(told).encode())

    def do_POST(self) -> None:
        """Delete a batch."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        count = body.count(b"<Object>")
        if self.server.accepts(count):
            self._say(200, deletion(count))
        else:
            self._say(503, b"<Error><Code>SlowDown</Code></Error>")

    def _say(self, status: int, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 %d -\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


if __name__ == "__main__":
    with Null(int(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.0) as null:
        print(null.server_address[1], flush=True)
        null.serve_forever()
