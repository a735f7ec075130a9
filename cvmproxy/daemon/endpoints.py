"""Addresses of the options → Twisted's endpoints, and bound addresses → what the log says.

Follows the design page "Commands, options, environment". Nothing is bound or dialled here.
"""

import socket
from typing import Any, Final, cast

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    HostnameEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXClientEndpoint,
    UNIXServerEndpoint,
    quoteStringArgument,
    serverFromString,
)
from twisted.internet.interfaces import IAddress, IStreamClientEndpoint, IStreamServerEndpoint

from cvmproxy.daemon.addresses import (
    EndpointDescription,
    ListenAddress,
    SystemdSocket,
    Target,
    TcpAddress,
    UnixAddress,
)
from cvmproxy.errors import ConfigurationError

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
            raise ConfigurationError("bad-option", f"{address}: not a server endpoint: {error}") from error


def dial_endpoint(reactor: Any, target: Target, connect_seconds: float) -> IStreamClientEndpoint:
    """Return the endpoint that dials a target's transport, without the TLS of an https one."""
    if isinstance(target, UnixAddress):
        endpoint: Any = UNIXClientEndpoint(reactor, str(target.path), timeout=connect_seconds)
    else:
        endpoint = HostnameEndpoint(reactor, target.host, target.port, timeout=connect_seconds)
    return cast(IStreamClientEndpoint, endpoint)


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
