"""The tools that only serve: the plain target and the simulator."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

from cvmproxy.daemon.addresses import listen_address
from cvmproxy.daemon.endpoints import ListenEndpoints, printed_address
from cvmproxy.daemon.options import CommandOptions, end_with_usage_error
from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.simulated_store import SimulatedStore, default_directory, home_directory
from cvmproxy.tools.commands import SimulatorOptions, TargetOptions
from cvmproxy.tools.simulator import simulator_site
from cvmproxy.tools.target import TargetFactory


def run_target(options: TargetOptions, reactor: Any) -> int:
    """Serve the plain target until a signal comes; return the exit status."""
    return serve(options, reactor, TargetFactory(), "target")


def run_simulator(options: SimulatorOptions, reactor: Any) -> int:
    """Serve the simulated platform until a signal comes; return the exit status."""
    given, home = options["simulated-platform"], home_directory(options.environment)
    directory = Path(given) if given else default_directory(options.environment, home)
    try:
        if directory is None:
            why = "this user has no home directory to keep it in: add --simulated-platform DIR"
            raise options.refused("simulated-platform", why)
        store = SimulatedStore(directory=directory, now=lambda: datetime.now(UTC))
        site = simulator_site(store, quote_delay_seconds=options["quote-delay"], reactor=reactor)
    except ConfigurationError as error:
        end_with_usage_error(options.program, error)
    sys.stderr.write(f"{options.program}: INSECURE: quotes of {directory} prove nothing about any machine\n")
    return serve(options, reactor, site, "simulator")


def serve(options: CommandOptions, reactor: Any, factory: IProtocolFactory, name: str) -> int:
    """Listen where ``--listen-addr`` says, say so on standard output, and run until a signal comes."""
    try:
        address = listen_address(options["listen-addr"])
        with options.blamed("listen-addr"):
            endpoint = ListenEndpoints(reactor).endpoint(address)
    except ValueError as error:
        end_with_usage_error(options.program, options.refused("listen-addr", str(error)))
    except ConfigurationError as error:
        end_with_usage_error(options.program, error)
    outcome = _Outcome()

    def listening(port: IListeningPort) -> None:
        reactor.addSystemEventTrigger("before", "shutdown", maybeDeferred, port.stopListening)
        print(f"{name} listening on {printed_address(port.getHost())}", flush=True)

    def refused(failure: Failure) -> None:
        why = failure.getErrorMessage().rstrip(".")
        sys.stderr.write(f"{options.program}: {options.spelling('listen-addr')} {address}: {why}\n")
        outcome.status = 1
        reactor.callWhenRunning(reactor.stop)

    endpoint.listen(factory).addCallbacks(listening, refused)
    reactor.run()
    return outcome.status


class _Outcome:
    status = 0
