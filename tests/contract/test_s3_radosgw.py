"""The s3 backend keeps every promise of the contract on a server of another lineage: Ceph's gateway."""

from collections.abc import Iterator

import pytest

from ..radosgw_server import RadosGateway, rados_gateway
from ..s3_proxy import Proxy, proxied
from .test_s3 import S3Contract, buckets  # noqa: F401 - a fixture

pytestmark = pytest.mark.campaign


@pytest.fixture(scope="module")
def server() -> Iterator[RadosGateway]:
    with rados_gateway() as running:
        yield running


@pytest.fixture(scope="module")
def proxy(server: RadosGateway) -> Iterator[Proxy]:
    with proxied(server.port) as standing:
        yield standing


class TestWithVersions(S3Contract):
    versions = True


class TestWithoutVersions(S3Contract):
    versions = False
