"""The options of the two commands, as tables: name, meaning, default.

Follows the design page "Commands, options, environment". Options of the Go program keep its names and environment
variables; the others have variables with our prefix.
"""

from collections.abc import Callable
from typing import Final

from attrs import field, frozen

from cvmproxy.daemon.option_values import boolean, count, seconds, seconds_or_none_at_all, size_from, text

ADDRESSES: Final = "Addresses"
ATTESTATION: Final = "Attestation"
ORDINARY_TLS: Final = "Ordinary TLS"
LOG: Final = "Log"
LIMITS: Final = "Limits"
DEVELOPMENT: Final = "Development and special cases"

GROUPS: Final = (ADDRESSES, ATTESTATION, ORDINARY_TLS, LOG, LIMITS, DEVELOPMENT)


@frozen(kw_only=True)
class Option:
    """One option and its environment variable.

    :ivar name: long name without dashes.
    :ivar meaning: what the help says.
    :ivar group: the help's heading.
    :ivar metavar: what stands for the value in the help; empty for a boolean.
    :ivar default: the text that holds where neither option nor variable is given; empty: nothing holds.
    :ivar default_words: how the help describes the default, where ``default`` does not say it all.
    :ivar read: text → value; raises ``ValueError`` with what was expected.
    :ivar ours: whether it is beyond the Go program's, so that its variable has our prefix.
    :ivar empty_is_off: whether an empty value means that it was not given, as compose files write it. Elsewhere an
        empty value is refused: it mostly comes from a substitution that failed, and must not switch a check off.
    """

    name: str
    meaning: str
    group: str
    metavar: str
    default: str = ""
    default_words: str = ""
    read: Callable[[str], object] = field(default=text, repr=False)
    ours: bool = False
    empty_is_off: bool = False

    @property
    def is_boolean(self) -> bool:
        """Whether the option takes no separate value."""
        return self.read is boolean

    @property
    def variable(self) -> str:
        """The name of its environment variable."""
        prefix = "CVMPROXY_" if self.ours else ""
        return prefix + self.name.upper().replace("-", "_")

    @property
    def default_shown(self) -> str:
        """The default in the help's words."""
        return self.default_words or self.default or "not set"


def _switch(name: str, meaning: str, group: str) -> Option:
    return Option(name=name, meaning=meaning, group=group, metavar="", read=boolean, default="false")


def _limit(name: str, meaning: str, default: str, read: Callable[[str], object] = seconds) -> Option:
    metavar = "TIME" if read in (seconds, seconds_or_none_at_all) else "N" if read is count else "SIZE"
    return Option(name=name, meaning=meaning, group=LIMITS, metavar=metavar, default=default, read=read, ours=True)


_LISTENING: Final = "host:port, [v6]:port, :port, unix:/path, systemd:NAME or endpoint:STRING"

SIMULATED_PLATFORM: Final = Option(
    name="simulated-platform",
    meaning="directory of the simulated platform; made on first use",
    group=DEVELOPMENT,
    metavar="DIR",
    default_words="a directory of the user's own",
    ours=True,
)

_COMMON: Final = (
    Option(
        name="listen-addr",
        meaning=f"where to accept connections: {_LISTENING}",
        group=ADDRESSES,
        metavar="ADDRESS",
        default="127.0.0.1:8080",
    ),
    Option(
        name="listen-addr-healthcheck",
        meaning="where to answer health checks with 200, in the same forms",
        group=ADDRESSES,
        metavar="ADDRESS",
        default_words="off",
        empty_is_off=True,
    ),
    Option(
        name="mode",
        meaning="http, or tcp for raw streams (not in this version)",
        group=ADDRESSES,
        metavar="MODE",
        default="http",
        ours=True,
    ),
    _switch("log-json", "log in JSON, one object per line", LOG),
    _switch("log-debug", "log debug messages", LOG),
    _switch("log-dcap-quote", "keep quotes in files (not in this version)", LOG),
    _limit("handshake-timeout", "for a whole TLS handshake, evidence included", "30s"),
    _limit("header-timeout", "for the head of a request to arrive", "30s"),
    _limit("idle-timeout", "before an idle connection is closed", "120s"),
    _limit("connect-timeout", "for the target to accept a connection", "10s"),
    _limit("upstream-timeout", "without a byte from the target while an answer is due", "300s"),
    _limit("request-head-size", "for the head of a request or response", "64KiB", size_from(1024)),
    _limit("header-count", "header fields in a request or response", "100", count),
    _limit("evidence-in-flight", "requests for evidence at once; further ones wait", "16", count),
    _limit("evidence-timeout", "for evidence to be made, waiting included", "25s"),
    _limit("drain-grace", "for requests to end when shutting down", "30s", seconds_or_none_at_all),
    Option(
        name="dev-dummy-dcap",
        meaning="remote quote provider, http:// or https://, for attestation type dummy",
        group=DEVELOPMENT,
        metavar="URL",
        default_words="off",
        empty_is_off=True,
    ),
    _switch(
        "override-azurev6-tcbinfo",
        "accept the TDX module level that Azure v6 hosts report (not in this version)",
        DEVELOPMENT,
    ),
    SIMULATED_PLATFORM,
)

SERVER_OPTIONS: Final = (
    Option(
        name="target-addr",
        meaning="where requests go: http://…, https://… or unix:/path",
        group=ADDRESSES,
        metavar="URL",
        default="https://localhost:80",
    ),
    Option(
        name="server-attestation-type",
        meaning="type of evidence to present, none, dummy or auto",
        group=ATTESTATION,
        metavar="TYPE",
        default="azure-tdx",
    ),
    Option(
        name="client-attestation-type",
        meaning="type of evidence to demand of clients, none or auto (the types in the measurements file)",
        group=ATTESTATION,
        metavar="TYPE",
        default="none",
        default_words="none; with --client-measurements the types in the file",
    ),
    Option(
        name="client-measurements",
        meaning="measurements to accept of clients: file or https URL",
        group=ATTESTATION,
        metavar="FILE",
    ),
    Option(
        name="tls-certificate-path",
        meaning="certificate to present (PEM), with --server-attestation-type none",
        group=ORDINARY_TLS,
        metavar="FILE",
        empty_is_off=True,
    ),
    Option(
        name="tls-private-key-path",
        meaning="its private key (PEM)",
        group=ORDINARY_TLS,
        metavar="FILE",
        empty_is_off=True,
    ),
    Option(
        name="target-ca",
        meaning="certificates (PEM) that an https:// target is verified with",
        group=ORDINARY_TLS,
        metavar="FILE",
        default_words="the system's",
        ours=True,
    ),
    *_COMMON,
)

CLIENT_OPTIONS: Final = (
    Option(
        name="target-addr",
        meaning="where requests go: https://host:port of a server",
        group=ADDRESSES,
        metavar="URL",
        default="https://localhost:80",
    ),
    Option(
        name="server-attestation-type",
        meaning="type of evidence to demand of the server, none or auto (the types in the measurements file)",
        group=ATTESTATION,
        metavar="TYPE",
        default="azure-tdx",
        default_words="azure-tdx; with --verify-tls none; with --server-measurements the types in the file",
    ),
    Option(
        name="server-measurements",
        meaning="measurements to accept of the server: file or https URL",
        group=ATTESTATION,
        metavar="FILE",
    ),
    Option(
        name="client-attestation-type",
        meaning="type of evidence to present where the server asks for it, none, dummy or auto",
        group=ATTESTATION,
        metavar="TYPE",
        default="none",
    ),
    _switch("verify-tls", "verify the server by ordinary PKI in place of evidence", ORDINARY_TLS),
    Option(
        name="tls-ca-certificate",
        meaning="certificates (PEM) to verify it with, with --verify-tls",
        group=ORDINARY_TLS,
        metavar="FILE",
        default_words="the system's",
    ),
    *_COMMON,
)
