"""Where a measurements file comes from: a path, or an https URL.

Follows the design page "Measurements files". Plain http is for loopback only, at every hop of a redirect, and never
after https; size, time and redirects are bounded. Whatever goes wrong is one ``ConfigurationError`` that names the
file: at start it is refused, on a reload the old file stays.
"""

import os
import stat
from pathlib import Path
from typing import Any, Final, TypeAlias, cast
from urllib.parse import urljoin

from attrs import frozen
from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IProtocol,
    IProtocolFactory,
    IReactorTCP,
    IReactorThreads,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol as ByteReceiver
from twisted.internet.ssl import platformTrust
from twisted.internet.threads import deferToThreadPool
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgentEndpointFactory, IResponse
from zope.interface import implementer

from cvmproxy.attestation.measurements import CODE
from cvmproxy.attestation.operator_json import MAXIMUM_BYTES
from cvmproxy.daemon.addresses import is_loopback, origin
from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.deadline import within

TIME_LIMIT_SECONDS: Final = 10.0
MAXIMUM_REDIRECTS: Final = 3

_REDIRECTS: Final = (301, 302, 303, 307, 308)


@frozen
class MeasurementsFile:
    """A measurements file by path."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@frozen
class MeasurementsUrl:
    """A measurements file by URL: https, or http to loopback. Made by :func:`measurements_location` only."""

    url: str

    def __str__(self) -> str:
        return self.url


MeasurementsLocation: TypeAlias = MeasurementsFile | MeasurementsUrl


class FetchingReactor(IReactorTCP, IReactorTime, IReactorThreads):
    """What fetching needs of a reactor."""


def measurements_location(given: str) -> MeasurementsLocation:
    """Read a path or URL as the operator gave it.

    :raises ConfigurationError: ``bad-measurements-file``; a URL that is not fetched from.
    """
    if "://" not in given:
        # A daemon may change its directory between start and reload.
        return MeasurementsFile(Path(given).absolute())
    _accepted_url(given, given)
    return MeasurementsUrl(given)


def read_measurements_file(path: Path) -> bytes:
    """Read a regular file of bounded size. Blocks for as long as its disk does.

    :raises ConfigurationError: ``bad-measurements-file``.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise _refused(str(path), "a regular file", "something else")
            data = file.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        raise _refused(str(path), "a file that can be read", error.strerror or "an error") from error
    except ValueError as error:
        raise _refused(ascii(str(path)), "a path", "one with a NUL") from error
    return _bounded(data, str(path))


def _open_at_once(path: str, flags: int) -> int:
    # A pipe would block the open until somebody writes to it.
    return os.open(path, flags | os.O_NONBLOCK)


async def fetch_measurements(
    location: MeasurementsLocation, reactor: FetchingReactor, *, trust_root: object | None = None
) -> bytes:
    """Return the bytes of a measurements file.

    :param trust_root: what https is verified with, as Twisted's TLS options take it; unless given the system's roots.
    :raises ConfigurationError: ``bad-measurements-file``.
    """
    if isinstance(location, MeasurementsFile):
        pool = reactor.getThreadPool()
        return cast(bytes, await deferToThreadPool(reactor, pool, read_measurements_file, location.path))
    connections = _Connections(reactor, platformTrust() if trust_root is None else trust_root)
    agent = Agent.usingEndpointFactory(reactor, connections)
    late = _refused(location.url, f"an answer within {TIME_LIMIT_SECONDS:g} s", "none")
    try:
        return await within(TIME_LIMIT_SECONDS, _follow(agent, location.url), clock=reactor, late=late)
    finally:
        connections.abort()


@implementer(IAgentEndpointFactory)
class _Connections:
    """The connections of one fetch, kept to be aborted: a response that nobody reads would hold its own open."""

    def __init__(self, reactor: FetchingReactor, trust_root: object) -> None:
        self._reactor = reactor
        self._contexts = BrowserLikePolicyForHTTPS(trustRoot=trust_root)
        self._protocols: list[IProtocol] = []

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        # Kept beneath TLS: a TCP connection may be aborted after its end, one of TLS may not.
        tcp = _KeptEndpoint(
            HostnameEndpoint(self._reactor, host, uri.port, timeout=TIME_LIMIT_SECONDS), self._protocols
        )
        if uri.scheme == b"https":
            return _TlsEndpoint(self._contexts.creatorForNetloc(uri.host, uri.port), tcp, self._reactor)
        return tcp

    def abort(self) -> None:
        for protocol in self._protocols:
            transport = getattr(protocol, "transport", None)
            if transport is not None:
                transport.abortConnection()


@implementer(IStreamClientEndpoint)
@frozen
class _TlsEndpoint:
    """TLS over another endpoint, as ``wrapClientTLS``, which would flush its writes by the clock of another reactor."""

    creator: IOpenSSLClientConnectionCreator
    endpoint: IStreamClientEndpoint
    clock: IReactorTime

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        wrapped: Any = TLSMemoryBIOFactory(self.creator, True, factory, self.clock)
        return self.endpoint.connect(wrapped).addCallback(_application)


def _application(tls: Any) -> IProtocol:
    application: IProtocol = tls.wrappedProtocol
    return application


@implementer(IStreamClientEndpoint)
@frozen
class _KeptEndpoint:
    endpoint: IStreamClientEndpoint
    protocols: list[IProtocol]

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        return self.endpoint.connect(factory).addCallback(self._kept)

    def _kept(self, protocol: IProtocol) -> IProtocol:
        self.protocols.append(protocol)
        return protocol


async def _follow(agent: Agent, url: str) -> bytes:
    at = url
    for _ in range(MAXIMUM_REDIRECTS + 1):
        response = await _response(agent, url, at)
        if response.code == 200:
            return await _body(response, url)
        if response.code not in _REDIRECTS:
            raise _refused(url, "status 200", f"{response.code}")
        locations = response.headers.getRawHeaders(b"location", [])
        if len(locations) != 1:
            raise _refused(url, "a redirect to one place", f"{len(locations)}")
        following = _followed(at, locations[0].decode("ascii", "replace"), url)
        _accepted_url(following, url)
        if at.lower().startswith("https:") and not following.lower().startswith("https:"):
            raise _refused(url, "a redirect from https to https", "one to http")
        at = following
    raise _refused(url, f"at most {MAXIMUM_REDIRECTS} redirects", "more")


def _followed(at: str, location: str, url: str) -> str:
    try:
        return urljoin(at, location)
    except ValueError as error:
        raise _refused(url, "a redirect to a URL", ascii(location)) from error


async def _response(agent: Agent, url: str, at: str) -> IResponse:
    try:
        headers = Headers({b"User-Agent": [b"cvmproxy"], b"Accept": [b"application/json"]})
        return await agent.request(b"GET", at.encode("ascii"), headers)
    # The HTTP client names no closed set of errors; neither does the body's transport below.
    except Exception as error:
        raise _refused(url, "an answer", _words(error)) from error


async def _body(response: IResponse, url: str) -> bytes:
    encodings = response.headers.getRawHeaders(b"content-encoding", [])
    if any(encoding.lower() != b"identity" for encoding in encodings):
        raise _refused(url, "a plain body", "an encoded one")
    if response.length is not UNKNOWN_LENGTH and response.length > MAXIMUM_BYTES:
        raise _refused(url, f"at most {MAXIMUM_BYTES} bytes", f"{response.length}")
    receiver = _BoundedBody()
    response.deliverBody(receiver)
    try:
        data = await receiver.whole
    except Exception as error:
        raise _refused(url, "a whole body", _words(error)) from error
    return _bounded(data, url)


class _BoundedBody(ByteReceiver):
    """Collects a body until it ends or is larger than what is accepted."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._length = 0
        self.whole: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if self.whole.called:
            return
        self._parts.append(data)
        self._length += len(data)
        if self._length > MAXIMUM_BYTES:
            self.whole.callback(b"".join(self._parts))

    def connectionLost(self, reason: Failure = Failure(ResponseDone())) -> None:  # noqa: B008 - Twisted's signature
        if self.whole.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._parts))
        else:
            self.whole.errback(reason)


def _accepted_url(url: str, named: str) -> None:
    try:
        target = origin(url)
    except ValueError as error:
        raise _refused(named, "a path, or an https URL", f"{url!a}: {error}") from error
    if not target.secure and not is_loopback(target.host):
        raise _refused(named, "https (http is for loopback only)", f"http to {target.host}")


def _bounded(data: bytes, named: str) -> bytes:
    if len(data) > MAXIMUM_BYTES:
        raise _refused(named, f"at most {MAXIMUM_BYTES} bytes", "more")
    return data


def _words(error: BaseException) -> str:
    """Return one line about a failure of the agent, which hides what happened in a list of reasons."""
    while isinstance(error, ResponseFailed) and error.reasons:
        error = error.reasons[0].value
    if isinstance(error, SSL.Error) and error.args and isinstance(error.args[0], list):
        return "; ".join(str(entry[-1]) for entry in error.args[0]) or "a TLS error"
    return " ".join(str(error).split()) or type(error).__name__


def _refused(named: str, expected: str, found: str) -> ConfigurationError:
    return ConfigurationError(CODE, f"{named}: expected {expected}, found {found}")
