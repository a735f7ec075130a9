"""Measurements files from real servers on loopback, with TLS under a root made for the test."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate
from twisted.internet.task import Clock
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import directlyProvides, implementer, providedBy

from cvmproxy.daemon.measurements_source import (
    TIME_LIMIT_SECONDS,
    MeasurementsFile,
    MeasurementsUrl,
    fetch_measurements,
    measurements_location,
    read_measurements_file,
)
from cvmproxy.errors import ConfigurationError

CONTENT = b'[{"attestation_type": "dcap-tdx"}]'
LIMIT = 1024 * 1024


@implementer(IOpenSSLServerConnectionCreator)
@frozen
class Authority:
    """A self-signed certificate: a server's own, and its client's root."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.use_certificate(self.certificate)
        context.use_privatekey(self.key)
        return SSL.Connection(context, None)

    @property
    def root(self) -> Certificate:
        return Certificate.loadPEM(self.certificate.public_bytes(Encoding.PEM))


@cache
def authority_for(name: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    loopback = [x509.IPAddress(ip_address("127.0.0.1"))] if name == "localhost" else []
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name), *loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    return Authority(certificate, key)


class Answers(Resource):
    """Answers by path; ``ended`` fires when the connection of an endless answer is lost."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[bytes, str] = {}
        self.requested: list[bytes] = []
        self.ended: Deferred[None] = Deferred()

    def render_GET(self, request: Request) -> bytes | int:
        path = request.path
        self.requested.append(path)
        if path in self.places:
            request.setResponseCode(302)
            request.setHeader("location", self.places[path])
            return b""
        match path:
            case b"/m.json":
                return CONTENT
            case b"/encoded":
                request.setHeader("content-encoding", "gzip")
                return CONTENT
            case b"/full":
                return b" " * LIMIT
            case b"/announced":
                request.setHeader("content-length", str(LIMIT + 1))
                request.write(b" ")
                request.notifyFinish().addErrback(lambda _: self.ended.callback(None))
                return NOT_DONE_YET
            case b"/endless":
                request.write(b" " * (LIMIT + 1))
                request.notifyFinish().addErrback(lambda _: self.ended.callback(None))
                return NOT_DONE_YET
            case b"/truncated":
                request.setHeader("content-length", str(len(CONTENT) + 1))
                request.write(CONTENT)
                request.transport.loseConnection()
                return NOT_DONE_YET
        request.setResponseCode(404)
        return b"[]"


class Server:
    def __init__(self, answers: Answers, plain: int, secure: int) -> None:
        self.answers = answers
        self.http = f"http://127.0.0.1:{plain}"
        self.https = f"https://127.0.0.1:{secure}"

    def redirect(self, path: str, to: str) -> None:
        self.answers.places[path.encode()] = to


@asynccontextmanager
async def serving(name: str = "localhost") -> AsyncIterator[Server]:
    answers = Answers()
    site = Site(answers)
    plain = reactor.listenTCP(0, site, interface="127.0.0.1")
    secure = reactor.listenSSL(0, site, authority_for(name), interface="127.0.0.1")
    try:
        yield Server(answers, plain.getHost().port, secure.getHost().port)
    finally:
        await plain.stopListening()
        await secure.stopListening()


async def fetch(url: str, name: str = "localhost", on: Any = reactor) -> bytes:
    location = measurements_location(url)
    assert isinstance(location, MeasurementsUrl)
    return await fetch_measurements(location, on, trust_root=authority_for(name).root)


@contextmanager
def refused(named: object, expected: str) -> Iterator[None]:
    with pytest.raises(ConfigurationError) as caught:
        yield
    assert caught.value.code == "bad-measurements-file"
    assert caught.value.message.startswith(f"{named}: ")
    assert caught.value.message.isprintable()
    assert expected in caught.value.message


@pytest_twisted.ensureDeferred
async def test_a_path_is_read_off_the_reactor(tmp_path: Path) -> None:
    path = tmp_path / "m.json"
    path.write_bytes(CONTENT)
    assert await fetch_measurements(measurements_location(str(path)), reactor) == CONTENT


def test_relative_paths_are_fixed_when_they_are_given() -> None:
    location = measurements_location("m.json")
    assert isinstance(location, MeasurementsFile)
    assert location.path == Path.cwd() / "m.json"


def test_paths_that_cannot_be_read(tmp_path: Path) -> None:
    large, pipe, missing = tmp_path / "large", tmp_path / "pipe", tmp_path / "missing"
    large.write_bytes(b" " * (LIMIT + 1))
    os.mkfifo(pipe)
    for path, expected in (
        (missing, "expected a file that can be read, found No such file"),
        (tmp_path, "expected a file that can be read, found Is a directory"),
        (pipe, "expected a regular file"),
        (large, "expected at most 1048576 bytes"),
    ):
        with refused(path, expected):
            read_measurements_file(path)


@pytest_twisted.ensureDeferred
async def test_https_and_http_to_loopback_are_fetched() -> None:
    async with serving() as server:
        for base in (server.https, server.http):
            assert await fetch(f"{base}/m.json") == CONTENT
        assert len(await fetch(f"{server.https}/full")) == LIMIT


@pytest.mark.parametrize("url", ["http://example.org/m.json", "http://10.0.0.1/m.json", "HTTP://example.org/m.json"])
def test_http_to_other_hosts_is_refused(url: str) -> None:
    with refused(url, "expected https (http is for loopback only)"):
        measurements_location(url)


@pytest_twisted.ensureDeferred
async def test_an_untrusted_certificate_is_refused() -> None:
    async with serving() as server:
        with refused(f"{server.https}/m.json", "certificate verify failed"):
            await fetch_measurements(measurements_location(f"{server.https}/m.json"), reactor)
        assert server.answers.requested == []


@pytest_twisted.ensureDeferred
async def test_a_certificate_for_another_host_is_refused() -> None:
    async with serving("other.test") as server:
        with refused(f"{server.https}/m.json", "expected an answer"):
            await fetch(f"{server.https}/m.json", "other.test")
        assert server.answers.requested == []


@pytest_twisted.ensureDeferred
async def test_three_redirects_are_followed_and_no_more() -> None:
    async with serving() as server:
        server.redirect("/1", f"{server.https}/2")
        server.redirect("/2", "/3")
        server.redirect("/3", "m.json")
        assert await fetch(f"{server.http}/1") == CONTENT
        server.redirect("/0", "/1")
        with refused(f"{server.http}/0", "expected at most 3 redirects, found more"):
            await fetch(f"{server.http}/0")


@pytest_twisted.ensureDeferred
async def test_redirects_never_leave_https() -> None:
    async with serving() as server:
        server.redirect("/1", f"{server.http}/m.json")
        with refused(f"{server.https}/1", "expected a redirect from https to https, found one to http"):
            await fetch(f"{server.https}/1")
        assert server.answers.requested == [b"/1"]


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("http://10.0.0.1/m.json", "https (http is for loopback only), found http to 10.0.0.1"),
        ("file:///etc/passwd", "a path, or an https URL"),
        ("https://user:secret@127.0.0.1/", "leave user and password out"),
        ("http://[", "expected a redirect to a URL, found 'http://['"),
        ("//a\u2100b/", "write the URL in printable ASCII"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_redirects_to_other_places_are_refused(place: str, expected: str) -> None:
    async with serving() as server:
        server.redirect("/1", place)
        with refused(f"{server.http}/1", expected):
            await fetch(f"{server.http}/1")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/missing", "expected status 200, found 404"),
        ("/encoded", "expected a plain body, found an encoded one"),
        ("/truncated", "expected a whole body"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_other_answers_are_refused(path: str, expected: str) -> None:
    async with serving() as server:
        with refused(f"{server.http}{path}", expected):
            await fetch(f"{server.http}{path}")


@pytest.mark.parametrize("path", ["/announced", "/endless"])
@pytest_twisted.ensureDeferred
async def test_a_large_answer_is_refused_and_its_connection_ended(path: str) -> None:
    async with serving() as server:
        with refused(f"{server.https}{path}", "expected at most 1048576 bytes"):
            await fetch(f"{server.https}{path}")
        await server.answers.ended


@pytest_twisted.ensureDeferred
async def test_an_unreachable_server_is_refused() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/m.json"
        with refused(url, "expected an answer, found Connection was refused"):
            await fetch(url)


class Silent(Protocol):
    def __init__(self, asked: "Deferred[None]", ended: "Deferred[None]") -> None:
        self._asked, self._ended = asked, ended

    def dataReceived(self, data: bytes) -> None:
        self._asked.callback(None)

    def connectionLost(self, reason: object = None) -> None:
        self._ended.callback(None)


class ReactorOnClock:
    """The real reactor, but for time."""

    def __init__(self, clock: Clock) -> None:
        directlyProvides(self, providedBy(reactor))
        self.callLater = clock.callLater
        self.seconds = clock.seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


@pytest_twisted.ensureDeferred
async def test_a_silent_server_is_given_up_in_time() -> None:
    clock, asked, ended = Clock(), Deferred[None](), Deferred[None]()
    factory = Factory.forProtocol(lambda: Silent(asked, ended))
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    url = f"http://127.0.0.1:{port.getHost().port}/m.json"
    fetching = Deferred.fromCoroutine(fetch(url, on=ReactorOnClock(clock)))
    await asked
    clock.advance(TIME_LIMIT_SECONDS - 1)
    assert not fetching.called
    clock.advance(1)
    with refused(url, "expected an answer within 10 s, found none"):
        await fetching
    await ended
    await port.stopListening()
