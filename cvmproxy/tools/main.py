"""The console script ``cvmproxy``: the two daemons in the foreground, and the tools.

Here, and in the plugins, is where the installed reactor is taken; everything below is given one.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

import cvmproxy
from cvmproxy.daemon.composition import compose_client, compose_server
from cvmproxy.daemon.options import ClientOptions, ServerOptions, end_with_answer, end_with_usage_error
from cvmproxy.daemon.start import make_service, run_in_foreground
from cvmproxy.errors import ConfigurationError
from cvmproxy.tools.commands import DemoOptions, SimulatorOptions, TargetOptions
from cvmproxy.tools.demo import run_demo
from cvmproxy.tools.serving import run_simulator, run_target


def _run_server(reactor: Any, arguments: Sequence[str]) -> int:
    options = ServerOptions()
    options.parseOptions(arguments)
    return run_in_foreground(make_service(options, reactor, compose_server), reactor)


def _run_client(reactor: Any, arguments: Sequence[str]) -> int:
    options = ClientOptions()
    options.parseOptions(arguments)
    return run_in_foreground(make_service(options, reactor, compose_client), reactor)


def _run_demo(reactor: Any, arguments: Sequence[str]) -> int:
    options = DemoOptions()
    options.parseOptions(arguments)
    return run_demo(options, reactor)


def _run_simulator(reactor: Any, arguments: Sequence[str]) -> int:
    options = SimulatorOptions()
    options.parseOptions(arguments)
    return run_simulator(options, reactor)


def _run_target(reactor: Any, arguments: Sequence[str]) -> int:
    options = TargetOptions()
    options.parseOptions(arguments)
    return run_target(options, reactor)


_COMMANDS: Final[Mapping[str, tuple[str, Callable[[Any, Sequence[str]], int]]]] = MappingProxyType(
    {
        "server": ("accept attested TLS and pass requests on to a plain target", _run_server),
        "client": ("accept plain HTTP and pass requests on over attested TLS", _run_client),
        "demo": ("target, server and client with simulated evidence; --once for a single request", _run_demo),
        "simulator": ("serve a simulated TDX platform to other programs (insecure)", _run_simulator),
        "target": ("a plain web server to put behind the proxy", _run_target),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status: 0 done, 1 failed, 2 bad usage."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name = given[0] if given else ""
    if name in ("--help", "-h"):
        end_with_answer(_help())
    if name == "--version":
        end_with_answer(f"cvmproxy {cvmproxy.__version__}")
    if name not in _COMMANDS:
        what = f"unknown command {name[:100]!a}" if name else "no command"
        end_with_usage_error(
            "cvmproxy",
            ConfigurationError("bad-option", f"{what}: expected {', '.join(_COMMANDS)}; see cvmproxy --help"),
        )
    from twisted.internet import reactor

    return _COMMANDS[name][1](reactor, given[1:])


def _help() -> str:
    lines = ["Usage: cvmproxy COMMAND [options]", "", "Commands:"]
    lines += [f"    {name:<10} {meaning}" for name, (meaning, _) in _COMMANDS.items()]
    lines += ["", "cvmproxy COMMAND --help lists a command's options. --version prints the version."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
