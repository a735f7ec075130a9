"""``cvmproxy demo``: target, server and client in one process, in mutual mode, with simulated evidence.

The server and the client are composed from options as the daemons are; only the process is shared. The log goes to
standard error, what is meant to be read to standard output.
"""

import io
import json
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.logger import FilteringLogObserver, LogLevel, LogLevelFilterPredicate, globalLogBeginner
from twisted.python.failure import Failure
from twisted.web.client import Agent, readBody

from cvmproxy.daemon.addresses import listen_address
from cvmproxy.daemon.composition import compose_client, compose_server
from cvmproxy.daemon.endpoints import ListenEndpoints, printed_address
from cvmproxy.daemon.event_log import EventLog
from cvmproxy.daemon.launcher import OpenedLog
from cvmproxy.daemon.log_writer import deliver_to_descriptor
from cvmproxy.daemon.options import ClientOptions, ServerOptions, end_with_usage_error
from cvmproxy.daemon.proxy_service import ProxyParts, ProxyService, StartError
from cvmproxy.errors import ConfigurationError
from cvmproxy.http.reserved import ATTESTATION_TYPE, MEASUREMENT
from cvmproxy.schemes.simulated import SIMULATED
from cvmproxy.tools.commands import DemoOptions
from cvmproxy.tools.target import TargetFactory

_TYPE: Final = ATTESTATION_TYPE.decode("ascii")
_MEASUREMENT: Final = MEASUREMENT.decode("ascii")
_MUTUAL: Final = ("--server-attestation-type=simulated", "--client-attestation-type=simulated", "--drain-grace=2s")

_SHOWN: Final = """\
Target, server and client run in this one process. The evidence is SIMULATED: it proves nothing about any machine.

    curl ──HTTP──▶ client {client} ══attested TLS══▶ server {server} ──HTTP──▶ target {target}

Try in another terminal:

    curl -i http://{client}/hello
        The response's headers {measurement} and {type} say what
        the client verified of the server. The body shows the request as it arrived at the target, where the same
        two headers say what the server verified of the client.

    curl -i -H '{measurement}: forged' http://{client}/
        403: nobody can bring these headers along.

    curl -ik https://{server}/
        Refused with a TLS alert: this caller shows no evidence. The log says why, the caller is not told.

Ctrl-C ends it.
"""


@frozen(kw_only=True)
class _Chain:
    """The addresses of a running demo, ``host:port``."""

    target: str
    server: str
    client: str


def run_demo(options: DemoOptions, reactor: Any) -> int:
    """Run the demo until a signal comes, or for one request; return the exit status."""
    for name in ("listen-addr", "server-listen-addr", "target-listen-addr"):
        try:
            listen_address(options[name])
        except ValueError as fix:
            end_with_usage_error(options.program, options.refused(name, str(fix)))
    if isinstance(sys.stdout, io.TextIOWrapper):
        # The picture has arrows, which not every terminal's encoding has.
        sys.stdout.reconfigure(errors="replace")
    log = EventLog(deliver_to_descriptor(sys.stderr.fileno()), as_json=False, debug=False)
    # What is meant for the reader keeps standard output: the log must not take that over.
    quiet = FilteringLogObserver(log, [LogLevelFilterPredicate(LogLevel.warn)])
    globalLogBeginner.beginLoggingTo([quiet], redirectStandardIO=False)
    log.start()
    with tempfile.TemporaryDirectory(prefix="cvmproxy-demo-") as temporary:
        demo = _Demo(reactor, options, OpenedLog(log=log), Path(options["simulated-platform"] or temporary))
        reactor.callWhenRunning(demo.begin)
        reactor.run()
    log.close()
    return demo.exit_status


class _Demo:
    def __init__(self, reactor: Any, options: DemoOptions, opened: OpenedLog, platform: Path) -> None:
        self.exit_status = 0
        self._reactor = reactor
        self._options = options
        self._opened = opened
        self._platform = platform
        self._services = MultiService()
        self._endpoints = ListenEndpoints(reactor)

    def begin(self) -> None:
        """Start everything, and end the process if that fails."""
        self._services.startService()
        self._reactor.addSystemEventTrigger("before", "shutdown", self._services.stopService)
        Deferred.fromCoroutine(self._run()).addErrback(self._failed)

    async def _run(self) -> None:
        chain = await self._start()
        if self._options["once"]:
            self.exit_status = await _request_once(self._reactor, chain)
            self._reactor.stop()
        else:
            print(_SHOWN.format(**_fields(chain), type=_TYPE, measurement=_MEASUREMENT), flush=True)

    async def _start(self) -> _Chain:
        endpoint = self._endpoints.endpoint(listen_address(self._options["target-listen-addr"]))
        port = await endpoint.listen(TargetFactory())
        self._reactor.addSystemEventTrigger("after", "shutdown", maybeDeferred, port.stopListening)
        target = printed_address(port.getHost())
        server_options = ServerOptions(environment={})
        server_options.read(self._arguments(self._options["server-listen-addr"], f"http://{target}"))
        server = self._begin(compose_server(server_options, self._reactor, self._opened.log))
        client_options = ClientOptions(environment={})
        client_options.read(self._arguments(self._options["listen-addr"], f"https://{server}"))
        client = self._begin(compose_client(client_options, self._reactor, self._opened.log))
        return _Chain(target=target, server=server, client=client)

    def _arguments(self, address: str, target: str) -> list[str]:
        return [
            *_MUTUAL,
            f"--simulated-platform={self._platform}",
            f"--listen-addr={address}",
            f"--target-addr={target}",
        ]

    def _begin(self, parts: ProxyParts) -> str:
        service = ProxyService(self._reactor, self._opened, parts)
        service.setServiceParent(self._services)
        return service.address("proxy")

    def _failed(self, failure: Failure) -> None:
        error = failure.value
        if isinstance(error, ConfigurationError):
            sys.stderr.write(f"{self._options.program}: {error.message}\n")
            self.exit_status = 2
        else:
            if not isinstance(error, StartError):
                sys.stderr.write(f"{self._options.program}: {failure.getErrorMessage()}\n")
            self.exit_status = 1
        # A listener that could not be bound has stopped it already.
        with suppress(ReactorNotRunning):
            self._reactor.stop()


async def _request_once(reactor: Any, chain: _Chain) -> int:
    """Make one request through the chain, print the headers of both ends, and return 0 if all are there."""
    response = await Agent(reactor).request(b"GET", f"http://{chain.client}/hello".encode())
    body = await readBody(response)
    back = [(name, value.decode()) for name in (_TYPE, _MEASUREMENT) for value in _values(response.headers, name)]
    arrived = [(name, value) for name, value in _echoed(body) if name.lower() in (_TYPE.lower(), _MEASUREMENT.lower())]
    print(f"GET http://{chain.client}/hello: {response.code}")
    _print_headers("came back from the client proxy, about the server:", back)
    _print_headers("arrived at the target, about the client:", arrived)
    complete = all(
        (_TYPE.lower(), SIMULATED.header_label) in _lowered(end) and len(end) == 2 for end in (back, arrived)
    )
    return 0 if response.code == 200 and complete else 1


def _values(headers: Any, name: str) -> Sequence[bytes]:
    values: Sequence[bytes] = headers.getRawHeaders(name.encode(), [])
    return values


def _echoed(body: bytes) -> list[tuple[str, str]]:
    try:
        return [(name, value) for name, value in json.loads(body)["headers"]]
    except (ValueError, KeyError):
        return []


def _lowered(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name.lower(), value) for name, value in headers]


def _print_headers(title: str, headers: Sequence[tuple[str, str]]) -> None:
    print(title)
    for name, value in headers or [("nothing", "")]:
        print(f"    {name}: {value}")


def _fields(chain: _Chain) -> dict[str, str]:
    return {"target": chain.target, "server": chain.server, "client": chain.client}
