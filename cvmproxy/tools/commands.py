"""The options of the tools, as tables; the reader is that of the two main commands."""

from attrs import evolve

from cvmproxy.daemon.option_table import ADDRESSES, DEVELOPMENT, SIMULATED_PLATFORM, Option
from cvmproxy.daemon.option_values import boolean, seconds_or_none_at_all
from cvmproxy.daemon.options import CommandOptions


def _address(name: str, meaning: str, default: str) -> Option:
    return Option(name=name, meaning=meaning, group=ADDRESSES, metavar="ADDRESS", default=default, ours=True)


class TargetOptions(CommandOptions):
    """The options of ``cvmproxy target``."""

    program = "cvmproxy target"
    about = "A plain web server to put behind the proxy: echoes requests as JSON; GET /bytes/N sends N bytes."
    table = (_address("listen-addr", "where to accept connections", "127.0.0.1:8000"),)


class SimulatorOptions(CommandOptions):
    """The options of ``cvmproxy simulator``."""

    program = "cvmproxy simulator"
    about = "Serves a simulated TDX platform: a remote quote provider, its collateral, and root.pem. INSECURE."
    table = (
        _address("listen-addr", "where to accept connections", "127.0.0.1:8090"),
        SIMULATED_PLATFORM,
        Option(
            name="quote-delay",
            meaning="how long every quote takes, for trying out a slow platform",
            group=DEVELOPMENT,
            metavar="TIME",
            default="0s",
            read=seconds_or_none_at_all,
            ours=True,
        ),
    )


class DemoOptions(CommandOptions):
    """The options of ``cvmproxy demo``."""

    program = "cvmproxy demo"
    about = "Starts a target, a server and a client in mutual mode with simulated evidence, and says what to try."
    table = (
        Option(
            name="once",
            meaning="make one request, print the headers that came out at both ends, and end with 0 or 1",
            group=DEVELOPMENT,
            metavar="",
            read=boolean,
            default="false",
            ours=True,
        ),
        _address("listen-addr", "where the client accepts plain HTTP; port 0 is any free one", "127.0.0.1:0"),
        _address("server-listen-addr", "where the server accepts attested TLS", "127.0.0.1:0"),
        _address("target-listen-addr", "where the target accepts plain HTTP", "127.0.0.1:0"),
        evolve(SIMULATED_PLATFORM, default_words="a temporary one"),
    )
