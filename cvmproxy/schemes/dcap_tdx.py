"""Intel TDX with a DCAP quote (wire protocol, "dcap-tdx document").

This version presents it only from a remote quote provider, and does not verify it yet.
"""

from typing import Final

from twisted.web.client import Agent

from cvmproxy.attestation.roles import Attester
from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.quote_source import QuoteAttester
from cvmproxy.platform.remote_provider import RemoteQuoteProvider, provider_url
from cvmproxy.schemes.dcap_registers import DCAP_REGISTERS
from cvmproxy.schemes.scheme import Scheme, SchemeSettings

_CONNECT_TIMEOUT_SECONDS: Final = 5.0


def _present_remote(settings: SchemeSettings) -> Attester:
    if settings.remote_quote_provider is None:
        raise ConfigurationError("bad-option", "evidence of type dummy needs --dev-dummy-dcap, the URL of its provider")
    return QuoteAttester(
        RemoteQuoteProvider(
            url=provider_url(settings.remote_quote_provider),
            agent=Agent(settings.reactor, connectTimeout=_CONNECT_TIMEOUT_SECONDS),
            clock=settings.reactor,
        )
    )


DCAP_TDX: Final = Scheme(
    name="dcap-tdx",
    aliases=frozenset({"qemu-tdx"}),
    oid="1.3.9900.5.99",
    header_label="qemu-tdx",
    registers=DCAP_REGISTERS,
    remote_name="dummy",
    present_remote=_present_remote,
    legacy_map=True,
)
