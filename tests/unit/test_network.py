"""Which names and addresses lead back to this host, and what TLS failed of."""

import ssl

import pytest

from deleatur.network import on_this_host, tls_context, tls_failure


@pytest.mark.parametrize("host", ["localhost", "localhost.", "127.0.0.1", "127.8.8.8", "::1", "ip6-loopback"])
def test_these_stay_on_this_host(host: str) -> None:
    assert on_this_host(host)


@pytest.mark.parametrize(
    "host",
    ["", "0.0.0.0", "::", "localhost.example.org", "127.0.0.1.example.org", "localhost,db", "192.0.2.1"],
)
def test_these_may_leave_it(host: str) -> None:
    assert not on_this_host(host)


def test_the_context_asks_for_a_name_and_a_late_version() -> None:
    context = tls_context()
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_only_a_failure_of_tls_is_one() -> None:
    assert tls_failure(None) == tls_failure(OSError(5, "x")) == ""
    assert tls_failure(ssl.SSLError(1, "[SSL: X] no")) != ""
