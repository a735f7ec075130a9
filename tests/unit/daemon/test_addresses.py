from pathlib import Path

import pytest

from cvmproxy.daemon.addresses import (
    EndpointDescription,
    Origin,
    SystemdSocket,
    TcpAddress,
    UnixAddress,
    client_target,
    is_loopback,
    listen_address,
    origin,
    server_target,
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", TcpAddress(host="127.0.0.1", port=8080)),
        ("localhost:0", TcpAddress(host="localhost", port=0)),
        (":8080", TcpAddress(host="", port=8080)),
        ("[::1]:8080", TcpAddress(host="::1", port=8080)),
        ("[::]:65535", TcpAddress(host="::", port=65535)),
        ("unix:/run/a.sock", UnixAddress(path=Path("/run/a.sock"))),
        ("systemd:web", SystemdSocket(name="web")),
        ("endpoint:tcp:8080:interface=10.0.0.1", EndpointDescription(description="tcp:8080:interface=10.0.0.1")),
    ],
)
def test_listening_addresses(text: str, address: object) -> None:
    read = listen_address(text)
    assert read == address
    assert str(read) == text


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("8080", "write host:port, or :8080 for every interface"),
        ("localhost", "write host:port"),
        ("::1:8080", "square brackets"),
        ("[::1]", "square brackets"),
        ("[nonsense]:1", "an IPv6 address without scope in the brackets"),
        ("[fe80::1%lo\n]:1", "an IPv6 address without scope in the brackets"),
        ("host:", "a port from 0 to 65535"),
        ("host:65536", "a port from 0 to 65535"),
        ("host:-1", "a port from 0 to 65535"),
        ("host:٣", "a port from 0 to 65535"),
        ("ho st:1", "host a name or an IP address"),
        ("http://host:1", "square brackets"),
        ("a" * 64 + ":1", "host a name or an IP address"),
        ("a..b:1", "host a name or an IP address"),
        ("unix:relative", "unix:/path, absolute"),
        ("unix:/" + "a" * 107, "at most 107 bytes"),
        ("systemd:", "systemd:NAME"),
        ("endpoint:", "endpoint description"),
    ],
)
def test_bad_listening_addresses(text: str, fix: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        listen_address(text)
    assert fix in str(caught.value)


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "query"),
    [
        ("https://example.org", "example.org", 443, "", ""),
        ("http://example.org", "example.org", 80, "", ""),
        ("https://example.org:8443/a/b?c=d&e", "example.org", 8443, "/a/b", "c=d&e"),
        ("https://[::1]:8443/", "::1", 8443, "/", ""),
        ("https://[::1]", "::1", 443, "", ""),
        ("HTTPS://10.0.0.1:1", "10.0.0.1", 1, "", ""),
    ],
)
def test_origins(text: str, host: str, port: int, path: str, query: str) -> None:
    read = origin(text)
    assert (read.host, read.port, read.path, read.query) == (host, port, path, query)
    assert read.secure is text.lower().startswith("https")
    assert str(read).lower() == text.lower()


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("example.org:443", "write a URL"),
        ("https:example.org", "write a URL"),
        ("ftp://example.org", "write a URL"),
        ("https://", "whose host is a name"),
        ("https://:443", "whose host is a name"),
        ("https://user:secret@example.org", "leave user and password out"),
        ("https://example.org/#part", "leave the fragment"),
        ("https://example.org#", "leave the fragment"),
        ("https://bücher.example", "printable ASCII"),
        ("https://example.org/a b", "printable ASCII"),
        ("https://example.org/\r\nHost: other", "printable ASCII"),
        ("https://example.org:0", "a port from 1"),
        ("https://example.org:", "a port from 1"),
        ("https://example.org:99999", "a port from 1"),
        ("https://exa%6dple.org", "whose host is a name"),
        ("https://[::1", "write a URL"),
        ("https://[zz]:1", "write a URL"),
    ],
)
def test_bad_origins(text: str, fix: str) -> None:
    for reader in (origin, server_target, client_target):
        with pytest.raises(ValueError, match=r".+") as caught:
            reader(text)
        assert fix in str(caught.value)
        assert "secret" not in str(caught.value)


def test_server_targets() -> None:
    assert server_target("unix:/run/a.sock") == UnixAddress(path=Path("/run/a.sock"))
    assert server_target("http://a:1") == Origin(secure=False, authority="a:1", host="a", port=1)
    for text in ("tcp://a:1", "tls://a:1"):
        with pytest.raises(ValueError, match="--mode tcp, which is not in this version"):
            server_target(text)


@pytest.mark.parametrize("text", ["http://a:1", "HTTP://a:1", "tcp://a:1", "unix:/run/a.sock"])
def test_a_client_has_no_plaintext_target(text: str) -> None:
    with pytest.raises(ValueError, match="no plaintext upstream"):
        client_target(text)


def test_a_client_target_in_tls_belongs_to_tcp_mode() -> None:
    with pytest.raises(ValueError, match="--mode tcp"):
        client_target("tls://a:1")


def test_the_authority_stays_as_written() -> None:
    assert client_target("https://localhost:80").authority == "localhost:80"
    assert client_target("https://[::1]").authority == "[::1]"


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("0.0.0.0", False),
        ("10.0.0.1", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
