"""A way to an S3 server that can be told to lie: it passes requests on, or does something else with them."""

import contextlib
import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

Said = tuple[int, dict[str, str], bytes]  # status, headers, body


@dataclass
class Request:
    """What somebody asked."""

    method: str
    target: str  # path and query, as sent
    headers: dict[str, str]
    body: bytes
    pass_on: Callable[["Request"], Said] = field(repr=False)

    @property
    def bucket(self) -> str:
        return unquote(urlsplit(self.target).path).removeprefix("/").partition("/")[0]

    @property
    def words(self) -> dict[str, str]:
        return {n: v[0] for n, v in parse_qs(urlsplit(self.target).query, keep_blank_values=True).items()}

    @property
    def deletes(self) -> bool:
        return self.method == "DELETE" or (self.method == "POST" and "delete" in self.words)

    @property
    def lists(self) -> bool:
        return self.method == "GET" and "versions" in self.words

    @property
    def writes(self) -> bool:
        return self.method in ("PUT", "POST", "DELETE")


Judge = Callable[[Request], Said]


def honest(request: Request) -> Said:
    """Pass it on."""
    return request.pass_on(request)


def error(status: int, code: str) -> Said:
    """Return an error as an S3 server writes it."""
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>of a test</Message></Error>"
    return status, {"Content-Type": "application/xml"}, xml.encode()


def document(xml: str) -> Said:
    """Return a document."""
    return 200, {"Content-Type": "application/xml"}, xml.encode()


class Proxy(ThreadingHTTPServer):
    """Listens on a port of its own; `judge` decides over each request."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, judge: Judge) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = port
        self.judge = judge
        self.seen: list[Request] = []

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Proxy

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request(self.command, self.path, dict(self.headers.items()), body, self._pass_on)
        self.server.seen.append(request)
        status, headers, content = self.server.judge(request)
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        if "X-No-End" in headers:
            self._go_on(content)
            return
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if "X-Cut-Off" in headers:
            self.close_connection = True
            content = content[: len(content) // 2]
        if self.command != "HEAD":
            self.wfile.write(content)

    def _go_on(self, content: bytes) -> None:
        """Send a little at a time, as long as somebody listens."""
        self.close_connection = True
        self.end_headers()
        with contextlib.suppress(OSError):
            while True:
                self.wfile.write(content)
                content = b" "
                time.sleep(0.02)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815 - named by the library

    def _pass_on(self, request: Request) -> Said:
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.upstream, timeout=60)) as way:
            way.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                way.putheader(name, value)
            way.endheaders(request.body)
            response = way.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def proxied(port: int, judge: Judge = honest) -> Iterator[Proxy]:
    """Stand between a client and the server at `port`."""
    with Proxy(port, judge) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join(60)


class BehindProxy:
    """How the contract has a server refuse what a backend asks of it."""

    proxy: Proxy

    @contextmanager
    def denied(self, planted: object) -> Iterator[None]:
        self.proxy.judge = lambda _request: error(403, "AccessDenied")
        try:
            yield
        finally:
            self.proxy.judge = honest

    @contextmanager
    def failing(self, n: int) -> Iterator[list[str]]:
        """Let the server refuse the `n`-th request that changes something."""
        calls: list[str] = []

        def judge(request: Request) -> Said:
            if request.writes:
                calls.append(request.method)
                if len(calls) == n:
                    return error(403, "AccessDenied")
            return honest(request)

        self.proxy.judge = judge
        try:
            yield calls
        finally:
            self.proxy.judge = honest
