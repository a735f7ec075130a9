"""A server and a client of ours as real programs, one behind the other, and requests through them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPMessage
from pathlib import Path

from attrs import frozen

from doubles.programs import TWISTD, Daemon

PRESENT = ("--server-attestation-type=simulated",)
DEMAND = ("--client-attestation-type=simulated",)
MUTUAL = (*PRESENT, *DEMAND)


@frozen(kw_only=True)
class Answer:
    """A response."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and the reason code of a response that a proxy made itself."""
        reason = self.body.decode().splitlines()[1]
        return self.status, reason.removeprefix("reason: ")

    def measured(self) -> tuple[str | None, str | None]:
        """Return the two headers that the client proxy sets: type, measurement."""
        return self.headers["X-Flashbots-Attestation-Type"], self.headers["X-Flashbots-Measurement"]


@frozen(kw_only=True)
class Chain:
    """A running pair."""

    server: Daemon
    client: Daemon

    def get(self, path: str = "/", **headers: str) -> Answer:
        """Make one request at the client's plain port."""
        return ask(self.client.address(), path, headers)


def ask(address: tuple[str, int], path: str = "/", headers: dict[str, str] | None = None) -> Answer:
    """Make one request over plain HTTP."""
    connection = HTTPConnection(*address, timeout=30)
    try:
        connection.request("GET", path, headers=headers or {})
        response = connection.getresponse()
        return Answer(status=response.status, headers=response.headers, body=response.read())
    finally:
        connection.close()


def platform_option(folder: Path) -> str:
    """Return the option that has both programs of a test share one simulated platform."""
    return f"--simulated-platform={folder / 'platform'}"


@contextmanager
def running_server(
    folder: Path, target: str, options: Sequence[str], *, launcher: Sequence[str] = (*TWISTD, "cvmproxy-server")
) -> Iterator[Daemon]:
    """Start a server on a free port."""
    command = [*launcher, "--listen-addr=127.0.0.1:0", f"--target-addr={target}", platform_option(folder), *options]
    with Daemon(command, cwd=folder) as server:
        yield server


@contextmanager
def running_client(
    folder: Path, target: str, options: Sequence[str], *, launcher: Sequence[str] = (*TWISTD, "cvmproxy-client")
) -> Iterator[Daemon]:
    """Start a client on a free port."""
    command = [*launcher, "--listen-addr=127.0.0.1:0", f"--target-addr={target}", platform_option(folder), *options]
    with Daemon(command, cwd=folder) as client:
        yield client


@contextmanager
def running_chain(
    folder: Path,
    target: str,
    *,
    server: Sequence[str] = MUTUAL,
    client: Sequence[str] = MUTUAL,
    host: str = "127.0.0.1",
) -> Iterator[Chain]:
    """Start both under twistd."""
    with running_server(folder, target, server) as first:
        port = first.address()[1]
        with running_client(folder, f"https://{host}:{port}", client) as second:
            yield Chain(server=first, client=second)
