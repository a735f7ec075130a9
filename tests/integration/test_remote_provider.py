"""A remote quote provider that misbehaves: one error each, in time, whatever it does."""

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.web.client import Agent

from cvmproxy.attestation.tdx_quote import MAX_QUOTE_SIZE
from cvmproxy.errors import ConfigurationError, PlatformError
from cvmproxy.platform.remote_provider import RemoteQuoteProvider, provider_url


class Scripted(Protocol):
    """Answers the first request with the factory's bytes."""

    def connectionMade(self):
        self.received = b""
        self.factory.connections.append(self)

    def dataReceived(self, data):
        self.received += data
        if self.received.endswith(b"\r\n\r\n"):
            self.factory.requests.append(self.received)
            for chunk in self.factory.answer:
                self.transport.write(chunk)
            if self.factory.hang_up:
                self.transport.loseConnection()


@pytest.fixture
def serve():
    ports, factories = [], []

    def begin(*answer: bytes, hang_up: bool = True, deadline_seconds: float = 5.0):
        factory = Factory.forProtocol(Scripted)
        factory.answer, factory.hang_up, factory.requests, factory.connections = answer, hang_up, [], []
        ports.append(reactor.listenTCP(0, factory, interface="127.0.0.1"))
        factories.append(factory)
        url = f"http://127.0.0.1:{ports[-1].getHost().port}/base"
        provider = RemoteQuoteProvider(url=url, agent=Agent(reactor), clock=reactor, deadline_seconds=deadline_seconds)
        return provider, factory

    yield begin
    for factory in factories:
        for connection in factory.connections:
            connection.transport.abortConnection()
    for port in ports:
        pytest_twisted.blockon(port.stopListening())


async def refusal(provider: RemoteQuoteProvider) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        await provider.quote(bytes(range(32)))
    assert "\n" not in caught.value.message
    return caught.value


@pytest_twisted.ensureDeferred
async def test_the_quote_is_the_body(serve):
    provider, factory = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"qu", b"ote")
    assert await provider.quote(bytes(range(32))) == b"quote"
    (request,) = factory.requests
    assert request.startswith(b"GET /base/attest/" + bytes(range(32)).hex().encode() + b" HTTP/1.1\r\n")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "empty"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "204"),
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nquote", "404"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "500"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "302"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nquote", ""),
        (b"", ""),
        (b"nonsense\r\n\r\n", ""),
    ],
)
@pytest_twisted.ensureDeferred
async def test_other_answers_are_refused(serve, answer, why):
    provider, _ = serve(answer)
    error = await refusal(provider)
    assert error.code == "evidence-unavailable"
    assert why in error.message


@pytest_twisted.ensureDeferred
async def test_an_answer_without_end_is_cut_off(serve):
    provider, _ = serve(b"HTTP/1.1 200 OK\r\n\r\n", *[bytes(4096)] * (MAX_QUOTE_SIZE // 4096 + 2), hang_up=False)
    error = await refusal(provider)
    assert error.code == "evidence-unavailable"
    assert str(MAX_QUOTE_SIZE) in error.message


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nquote"])
@pytest_twisted.ensureDeferred
async def test_a_provider_that_falls_silent_meets_the_deadline(serve, answer):
    provider, _ = serve(answer, hang_up=False, deadline_seconds=0.1)
    error = await refusal(provider)
    assert error.code == "evidence-timeout"


@pytest_twisted.ensureDeferred
async def test_nobody_there(serve):
    port = reactor.listenTCP(0, Factory(), interface="127.0.0.1")
    url = f"http://127.0.0.1:{port.getHost().port}"
    await port.stopListening()
    error = await refusal(RemoteQuoteProvider(url=url, agent=Agent(reactor), clock=reactor))
    assert error.code == "evidence-unavailable"
    assert url in error.message


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://127.0.0.1:8090/", "http://127.0.0.1:8090"),
        ("https://quotes.example/base/", "https://quotes.example/base"),
        ("http://[::1]:80", "http://[::1]:80"),
    ],
)
def test_urls_of_providers(given, used):
    assert provider_url(given) == used


@pytest.mark.parametrize(
    "given",
    ["", "127.0.0.1:8090", "ftp://host", "http://", "http://:80", "http://h:0", "http://h:x", "http://h?q", "http://h#f",
     "http://h/\r\nX: y", "http://h/a b", "http://h\u00e4", "http://[::1"],
)  # fmt: skip
def test_other_urls_are_refused(given):
    with pytest.raises(ConfigurationError) as caught:
        provider_url(given)
    assert caught.value.code == "bad-option"
