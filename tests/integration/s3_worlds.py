"""Worlds of buckets for whole jobs: each with a scratch bucket, behind a proxy that may lie."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ..s3_proxy import Proxy, proxied
from ..s3_server import Client, Server

W = TypeVar("W")


@contextmanager
def worlds(
    kind: Callable[[Client, Proxy, Path, str, str], W], server: Server, folder: Path
) -> Iterator[Callable[..., W]]:
    """Yield what makes a world with buckets of its own."""
    with proxied(server.port) as proxy:

        def make(*, versions: bool = True, locks: bool = False) -> W:
            names = [f"{name}-{uuid.uuid4().hex}" for name in ("target", "scratch")]
            server.client.make_bucket(names[0], versions=versions, locks=locks)
            server.client.make_bucket(names[1], versions=versions)
            return kind(server.client, proxy, folder, *names)

        yield make
