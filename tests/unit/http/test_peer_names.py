import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from cvmproxy.http.peers import name_of
from cvmproxy.tls.report import printed_peer


@pytest.mark.parametrize(
    ("address", "host", "whole"),
    [
        (IPv4Address("TCP", "192.0.2.1", 9), b"192.0.2.1", "192.0.2.1:9"),
        (IPv6Address("TCP", "2001:db8::1", 9), b"2001:db8::1", "[2001:db8::1]:9"),
        (IPv6Address("TCP", "::ffff:192.0.2.1", 9), b"192.0.2.1", "192.0.2.1:9"),
        (UNIXAddress(None), None, "unix"),
    ],
)
def test_the_name_of_a_requester(address, host, whole):
    assert name_of(address) == (host, whole)
    if host is not None:
        assert printed_peer(address) == whole
