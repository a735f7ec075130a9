"""Host names → addresses, without blocking the reactor or whatever else runs in its threads.

The system's resolver blocks for as long as its servers are silent, and cannot be told to stop. In the reactor's own
thread pool ten such lookups would hold up everything else that runs there, and the end of the process for as long as
all of them take. Here every name is looked up once at a time, by a thread that nobody waits for: all who ask
meanwhile share the answer. Giving up in time is left to who asked.
"""

import socket
from collections.abc import Callable, Sequence
from threading import Thread
from typing import Any, Final, TypeAlias

from attrs import define
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorFromThreads,
    IResolutionReceiver,
)
from twisted.logger import Logger
from zope.interface import implementer

_log: Final = Logger()

Addresses: TypeAlias = Sequence[IPv4Address | IPv6Address]
LookUp: TypeAlias = Callable[[str, int], Addresses]


def look_up(host: str, port: int) -> Addresses:
    """Ask the system for the addresses of a host; none where it has none. Blocks."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    addresses: list[IPv4Address | IPv6Address] = []
    for family, _, _, _, place in found:
        if family == socket.AF_INET:
            addresses.append(IPv4Address("TCP", *place))
        elif family == socket.AF_INET6:
            addresses.append(IPv6Address("TCP", *place))
    return addresses


@implementer(IHostResolution)
@define(eq=False)
class _Resolution:
    name: str
    receiver: Any
    types: Sequence[type[IAddress]] | None
    cancelled: bool = False

    def cancel(self) -> None:
        """Tell the receiver nothing more; the lookup itself cannot be ended."""
        self.cancelled = True

    def tell(self, addresses: Addresses) -> None:
        """Tell the receiver of the addresses whose types it asked for; all where it named none."""
        if self.cancelled:
            return
        for address in addresses:
            if self.types is None or type(address) in self.types:
                self.receiver.addressResolved(address)
        self.receiver.resolutionComplete()


@implementer(IHostnameResolver)
class SharedNameResolver:
    """Resolves host names for TCP.

    :ivar look_up: asks for the addresses of a host; is called in a thread of its own.
    """

    def __init__(self, reactor: IReactorFromThreads, look_up: LookUp = look_up) -> None:
        self._reactor: Final = reactor
        self._look_up: Final = look_up
        self._waiting: Final[dict[tuple[str, int], list[_Resolution]]] = {}

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        """Begin to resolve; the receiver is told in the reactor's thread, after this has returned."""
        if transportSemantics != "TCP":
            raise ValueError("names are resolved for TCP only")
        resolution = _Resolution(hostName, resolutionReceiver, addressTypes)
        resolutionReceiver.resolutionBegan(resolution)
        place = (hostName, portNumber)
        if place in self._waiting:
            self._waiting[place].append(resolution)
        else:
            self._waiting[place] = [resolution]
            # A daemon thread: the process ends without it.
            Thread(target=self._run, args=place, name="cvmproxy-name", daemon=True).start()
        return resolution

    def _run(self, host: str, port: int) -> None:
        addresses: Addresses = []
        try:
            addresses = self._look_up(host, port)
        except Exception:  # noqa: BLE001  # who waits has to be told, whatever it was
            _log.failure("the lookup of a host name failed")
        self._reactor.callFromThread(self._answer, (host, port), addresses)

    def _answer(self, place: tuple[str, int], addresses: Addresses) -> None:
        for resolution in self._waiting.pop(place):
            resolution.tell(addresses)
