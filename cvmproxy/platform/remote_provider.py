"""Quotes from a remote quote provider (attestation formats, "Making evidence"; option ``--dev-dummy-dcap``).

``GET {URL}/attest/{64 hex digits of the 32-byte extra data}`` answers a raw quote.
"""

from typing import Final
from urllib.parse import urlsplit

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IAgent, IResponse

from cvmproxy.attestation.tdx_quote import MAX_QUOTE_SIZE
from cvmproxy.errors import ConfigurationError, PlatformError
from cvmproxy.platform.deadline import within

DEFAULT_DEADLINE_SECONDS: Final = 15.0


def provider_url(text: str) -> str:
    """Return the base URL of a provider without a slash at its end.

    :raises ConfigurationError: it is not an http or https URL that a path can be added to.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "?" in text or "#" in text or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigurationError(
            "bad-option", f"{text!r} is no URL of a remote quote provider: give http://host:port, without a query"
        )
    return text.rstrip("/")


class RemoteQuoteProvider:
    """Quotes over HTTP (a ``QuoteSource``).

    :param url: base URL, as :func:`provider_url` returns it.
    :param agent: the HTTP client; :param clock: times the deadline, which is for the whole exchange.
    """

    def __init__(
        self,
        *,
        url: str,
        agent: IAgent,
        clock: IReactorTime,
        deadline_seconds: float = DEFAULT_DEADLINE_SECONDS,
    ) -> None:
        self._url: Final = url
        self._agent: Final = agent
        self._clock: Final = clock
        self._deadline_seconds: Final = deadline_seconds

    async def quote(self, extra_data: bytes) -> bytes:
        """Return the provider's quote for 32 bytes of extra data.

        :raises PlatformError: ``evidence-unavailable`` or ``evidence-timeout``.
        """
        late = PlatformError("evidence-timeout", f"no quote from {self._url} within {self._deadline_seconds:g} s")
        exchange = self._fetch(f"{self._url}/attest/{extra_data.hex()}")
        try:
            return await within(self._deadline_seconds, exchange, clock=self._clock, late=late)
        except (PlatformError, CancelledError):
            raise
        # The HTTP client names no closed set of errors.
        except Exception as error:
            raise self._unavailable(_why(error)) from error

    async def _fetch(self, url: str) -> bytes:
        response: IResponse = await self._agent.request(b"GET", url.encode("ascii"))
        body = await _read_body(response)
        if response.code != 200:
            raise self._unavailable(f"it answered with status {response.code}")
        if body is None:
            raise self._unavailable(f"its answer has more than {MAX_QUOTE_SIZE} bytes")
        if not body:
            raise self._unavailable("its answer is empty")
        return body

    def _unavailable(self, why: str) -> PlatformError:
        return PlatformError("evidence-unavailable", f"no quote from {self._url}: {why}")


class _BoundedBody(Protocol):
    """Collects a body up to the size of a quote, and hangs up on a larger one."""

    def __init__(self) -> None:
        self._chunks: Final[list[bytes]] = []
        self._size = 0
        #: The body, ``None`` where it was too large.
        self.done: Final[Deferred[bytes | None]] = Deferred(lambda _: self._hang_up())

    def dataReceived(self, data: bytes) -> None:
        """Collect."""
        self._size += len(data)
        if self._size <= MAX_QUOTE_SIZE:
            self._chunks.append(data)
        elif not self.done.called:
            self.done.callback(None)
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Deliver."""
        if self.done.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.done.callback(b"".join(self._chunks))
        else:
            self.done.errback(reason)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


async def _read_body(response: IResponse) -> bytes | None:
    body = _BoundedBody()
    response.deliverBody(body)
    return await body.done


def _why(error: Exception) -> str:
    reasons = getattr(error, "reasons", None)
    if reasons:
        # What the agent raises for a failed exchange is a list of what went wrong inside it.
        return _why(reasons[0].value)
    return str(error) or type(error).__name__
