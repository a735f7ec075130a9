"""Where quotes come from, and the attester that makes dcap-tdx documents of them."""

from typing import Final, Protocol

from cvmproxy.attestation.binding import Binding
from cvmproxy.attestation.dcap_document import DcapDocument


class QuoteSource(Protocol):
    """Makes Intel TDX quotes for this machine, or for one that stands in for it."""

    async def quote(self, extra_data: bytes) -> bytes:
        """Return a raw quote whose report data is these 32 bytes followed by 32 zeros.

        :raises PlatformError: there is none.
        """
        ...


class QuoteAttester:
    """An attester whose documents hold a quote of ``source``."""

    def __init__(self, source: QuoteSource) -> None:
        self._source: Final = source

    async def attest(self, binding: Binding) -> bytes:
        """Return a fresh dcap-tdx document for this binding.

        :raises PlatformError: the source has no quote.
        """
        raw_quote = await self._source.quote(binding.extra_data)
        return DcapDocument(raw_quote=raw_quote, user_data=binding.user_data).encode()
