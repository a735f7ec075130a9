"""Where to listen and where requests go: the texts of the options → frozen values.

Follows the design page "Commands, options, environment", section "Beyond the Go program". Nothing is resolved or
opened here. Every function raises ``ValueError`` with the fix; who calls it names the option.
"""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import SplitResult, urlsplit

from attrs import frozen

_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_PATH_AND_QUERY: Final = re.compile(r"[!-~]*")
_MAXIMUM_UNIX_PATH: Final = 107
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}
_LATER: Final = ("tcp", "tls")


@frozen(kw_only=True)
class TcpAddress:
    """A TCP address to listen on. An empty ``host`` is every interface; port 0 lets the system choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@frozen(kw_only=True)
class UnixAddress:
    """A Unix socket to listen on, or to connect to."""

    path: Path

    def __str__(self) -> str:
        return f"unix:{self.path}"


@frozen(kw_only=True)
class SystemdSocket:
    """A listening socket that systemd passes, by its ``FileDescriptorName``."""

    name: str

    def __str__(self) -> str:
        return f"systemd:{self.name}"


@frozen(kw_only=True)
class EndpointDescription:
    """A Twisted server endpoint description."""

    description: str

    def __str__(self) -> str:
        return f"endpoint:{self.description}"


ListenAddress: TypeAlias = TcpAddress | UnixAddress | SystemdSocket | EndpointDescription


@frozen(kw_only=True)
class Origin:
    """An HTTP origin by URL, with what its path and query add to every request.

    :ivar authority: host and port as the URL had them: the value of ``Host``.
    :ivar host: host name or IP address without brackets.
    :ivar path: the URL's path as it stood there, perhaps empty.
    :ivar query: the URL's query without the question mark, perhaps empty.
    """

    secure: bool
    authority: str
    host: str
    port: int
    path: str = ""
    query: str = ""

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}{query}"


Target: TypeAlias = Origin | UnixAddress


def listen_address(given: str) -> ListenAddress:
    """Read a listening address.

    :raises ValueError: with the forms that it may have.
    """
    kind, _, rest = given.partition(":")
    match kind:
        case "unix":
            return _unix(rest)
        case "systemd":
            if not rest or not rest.isprintable():
                raise ValueError("write systemd:NAME, with the socket unit's FileDescriptorName")
            return SystemdSocket(name=rest)
        case "endpoint":
            if not rest:
                raise ValueError("write endpoint: and a Twisted endpoint description, as endpoint:tcp:8080")
            return EndpointDescription(description=rest)
    host, colon, port = given.rpartition(":")
    if not colon:
        raise ValueError(f"write host:port, or :{given} for every interface" if given.isdigit() else "write host:port")
    return TcpAddress(host=_listening_host(host), port=_port(port, least=0))


def origin(given: str) -> Origin:
    """Read an ``http://`` or ``https://`` URL.

    :raises ValueError: it is none, or has parts that a target cannot have.
    """
    if not _PATH_AND_QUERY.fullmatch(given):
        raise ValueError("write the URL in printable ASCII, other characters percent-encoded")
    try:
        parts = urlsplit(given)
    except ValueError as error:
        raise ValueError("write a URL, as https://host:port") from error
    if parts.scheme not in _DEFAULT_PORTS or not given.lower().startswith(f"{parts.scheme}://"):
        raise ValueError("write a URL, as https://host:port")
    if "@" in parts.netloc:
        raise ValueError("leave user and password out of the URL")
    if "#" in given:
        raise ValueError("leave the fragment (#…) out of the URL")
    host, port = _authority(parts)
    return Origin(
        secure=parts.scheme == "https",
        authority=parts.netloc,
        host=host,
        port=port,
        path=parts.path,
        query=parts.query,
    )


def server_target(given: str) -> Target:
    """Read a server's target in http mode: ``http://``, ``https://`` or ``unix:/path``.

    :raises ValueError: with the fix.
    """
    scheme, _, rest = given.partition(":")
    if scheme == "unix":
        return _unix(rest)
    if scheme in _LATER:
        raise ValueError("belongs to --mode tcp, which is not in this version: write http://, https:// or unix:/path")
    return origin(given)


def client_target(given: str) -> Origin:
    """Read a client's target in http mode: ``https://`` only, as there is no plaintext upstream.

    :raises ValueError: with the fix.
    """
    scheme = given.partition(":")[0]
    if scheme == "tls":
        raise ValueError("belongs to --mode tcp, which is not in this version: write https://host:port")
    target = None if scheme in ("tcp", "unix") else origin(given)
    if target is None or not target.secure:
        raise ValueError("a client has no plaintext upstream: write https://host:port")
    return target


def is_loopback(host: str) -> bool:
    """Say whether a host (without brackets) is this machine and cannot be another."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _unix(path: str) -> UnixAddress:
    if not path.startswith("/") or len(path.encode()) > _MAXIMUM_UNIX_PATH or not path.isprintable():
        raise ValueError(f"write unix:/path, absolute and of at most {_MAXIMUM_UNIX_PATH} bytes")
    return UnixAddress(path=Path(path))


def _listening_host(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return _ipv6(host[1:-1])
    if ":" in host:
        raise ValueError("write an IPv6 address in square brackets, as [::1]:8080")
    if host and not _HOST.fullmatch(host):
        raise ValueError("write host:port, the host a name or an IP address")
    return host


def _ipv6(text: str) -> str:
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        address = None
    if address is None or address.scope_id is not None:
        raise ValueError(f"write an IPv6 address without scope in the brackets, not {text!a}")
    return str(address)


def _port(text: str, *, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and least <= int(text) <= 65535):
        raise ValueError(f"write a port from {least} to 65535, not {text!a}")
    return int(text)


def _authority(parts: SplitResult) -> tuple[str, int]:
    """Return host and port of a URL; urllib's own reading of them is too lenient."""
    bracketed = re.fullmatch(r"\[([^\]]*)\](?::(.*))?", parts.netloc)
    if bracketed:
        host, port = _ipv6(bracketed[1]), bracketed[2]
    else:
        host, colon, text = parts.netloc.partition(":")
        port = text if colon else None
        if not _HOST.fullmatch(host):
            raise ValueError("write a URL whose host is a name (in ASCII) or an IP address")
    return host, _DEFAULT_PORTS[parts.scheme] if port is None else _port(port, least=1)
