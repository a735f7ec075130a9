"""Addresses of the options → Twisted's endpoints, and bound addresses → what the log says.

Follows the design page "Commands, options, environment". Nothing is bound or dialled until an endpoint is asked to.
"""

import socket
from ipaddress import ip_address
from typing import Any, Final, cast

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ClientEndpoint,
    TCP6ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from cvmproxy.daemon.addresses import (
    EndpointDescription,
    ListenAddress,
    SystemdSocket,
    Target,
    TcpAddress,
    UnixAddress,
)
from cvmproxy.errors import ConfigurationError
from cvmproxy.events import EventSink, Warned
from cvmproxy.http.failures import dial_failure_code

_BACKLOG: Final = 1024
_SOCKET_MODE: Final = 0o660


class ListenEndpoints:
    """Makes the endpoints to listen on."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def endpoint(self, address: ListenAddress) -> IStreamServerEndpoint:
        """Return the endpoint to listen on.

        :raises ConfigurationError: the address names something that is not there.
        """
        match address:
            case TcpAddress():
                return self._tcp(address)
            case UnixAddress():
                return cast(
                    IStreamServerEndpoint,
                    # The lock file tells a socket in use from one that a crash left behind.
                    UNIXServerEndpoint(self._reactor, str(address.path), _BACKLOG, _SOCKET_MODE, wantPID=True),
                )
            case SystemdSocket():
                return self._adopted(address)
            case EndpointDescription():
                return self._described(address)

    def _tcp(self, address: TcpAddress) -> IStreamServerEndpoint:
        host = address.host
        if not host:
            host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104  # the operator said every interface
        endpoint = TCP6ServerEndpoint if ":" in host else TCP4ServerEndpoint
        return cast(IStreamServerEndpoint, endpoint(self._reactor, address.port, _BACKLOG, host))

    def _adopted(self, address: SystemdSocket) -> IStreamServerEndpoint:
        # Twisted took the list from the environment when it was imported: its own parser is the way to it. The family
        # that the parser wants to be told is the socket's own to say.
        description = f"systemd:domain=INET:name={quoteStringArgument(address.name)}"
        try:
            descriptor: int = cast(Any, serverFromString(self._reactor, description)).fileno
        except KeyError:
            why = "systemd passed no socket of that name: compare FileDescriptorName of the socket unit"
            raise ConfigurationError("bad-option", f"{address}: {why}") from None
        try:
            with socket.socket(fileno=descriptor) as passed:
                family = passed.family
                passed.detach()
        except OSError as error:
            raise ConfigurationError("bad-option", f"{address}: not a socket: {error.strerror}") from error
        return cast(IStreamServerEndpoint, AdoptedStreamServerEndpoint(self._reactor, descriptor, family))

    def _described(self, address: EndpointDescription) -> IStreamServerEndpoint:
        try:
            return cast(IStreamServerEndpoint, serverFromString(self._reactor, address.description))
        except Exception as error:  # any plugin's parser may raise anything about its text
            why = " ".join(str(error).split()) or type(error).__name__
            fix = "write a Twisted server endpoint, as endpoint:tcp:8080"
            raise ConfigurationError("bad-option", f"{address}: {fix} ({why})") from error


def dial_endpoint(reactor: Any, target: Target, connect_seconds: float, events: EventSink) -> IStreamClientEndpoint:
    """Return the endpoint that dials a target's transport, without the TLS of an https one.

    :param events: told why, when the target cannot be reached.
    """
    endpoint = _dial(reactor, target, connect_seconds)
    return cast(IStreamClientEndpoint, _ReportedDial(endpoint, str(target), reactor, connect_seconds, events))


def _dial(reactor: Any, target: Target, connect_seconds: float) -> Any:
    if isinstance(target, UnixAddress):
        return UNIXClientEndpoint(reactor, str(target.path), timeout=connect_seconds)
    try:
        version = ip_address(target.host).version
    except ValueError:
        return HostnameEndpoint(reactor, target.host, target.port, timeout=connect_seconds)
    # Nothing to look up or to choose from; the endpoint for host names would also take 0.3 s to report a refusal.
    endpoint = TCP6ClientEndpoint if version == 6 else TCP4ClientEndpoint
    return endpoint(reactor, target.host, target.port, timeout=connect_seconds)


@implementer(IStreamClientEndpoint)
@frozen
class _ReportedDial:
    """Bounds a dial, the lookup of its name included, and says in the log why it failed: requesters learn a code."""

    endpoint: IStreamClientEndpoint
    target: str
    clock: Any
    seconds: float
    events: EventSink

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        dialling: Deferred[IProtocol] = self.endpoint.connect(protocolFactory)
        dialling.addTimeout(self.seconds, self.clock, onTimeoutCancel=_timed_out)
        return dialling.addErrback(self._report)

    def _report(self, failure: Failure) -> Failure:
        if not failure.check(CancelledError, ConnectingCancelledError):
            why = failure.getErrorMessage().rstrip(".")
            message = f"the target {self.target} cannot be reached: {why}"
            self.events(Warned(message=message, code=dial_failure_code(failure.value)))
        return failure


def _timed_out(result: IProtocol | Failure, seconds: float) -> IProtocol | Failure:
    # A result that came just as the time was up stays one.
    if isinstance(result, Failure):
        why = f"no connection within {seconds:g} s, the lookup of its name included"
        return Failure(ConnectTimeout(string=why))
    return result


def printed_address(address: IAddress) -> str:
    """Return ``host:port``, ``[v6]:port`` or ``unix:/path``; of other kinds, what they say of themselves."""
    match address:
        case IPv4Address():
            return f"{address.host}:{address.port}"
        case IPv6Address():
            return f"[{address.host}]:{address.port}"
        case UNIXAddress():
            path = address.name or b"(unnamed)"
            return "unix:" + (path.decode("utf-8", "backslashreplace") if isinstance(path, bytes) else path)
    return str(address)
