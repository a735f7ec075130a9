"""Every exception of the package, one tree, split by who has to act.

Each carries a stable ``code`` (a row of :mod:`cvmproxy.reasons`) and a ``message`` in words for the operator's log.
Peers and requesters are never shown the message of a refusal of evidence: only an alert, or a status with the code.
"""

from typing import Final


class CvmproxyError(Exception):
    """The root of the tree.

    :ivar code: the stable reason code.
    :ivar message: one sentence for the log, with the values that matter.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code: Final = code
        self.message: Final = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class ConfigurationError(CvmproxyError):
    """The operator has to act: an option, a file, an address."""


class PlatformError(CvmproxyError):
    """This machine's platform could not make evidence: TPM, configfs, quote service, remote provider."""


class CollateralError(CvmproxyError):
    """Intel, or the network on the way there, has to act: collateral absent, expired, malformed."""


class PeerError(CvmproxyError):
    """The other end of a TLS connection did something that we do not accept."""


class TransportError(PeerError):
    """TLS itself failed, timed out, or ended; or the peer refused us."""


class NonceError(PeerError):
    """The peer's nonce is not what the protocol demands."""


class EvidenceError(PeerError):
    """The peer's certificate or evidence cannot be read."""


class AuthenticationError(PeerError):
    """The evidence can be read, and is not authentic."""


class AppraisalError(PeerError):
    """The evidence is authentic, and is not acceptable.

    :ivar measured: register index → value that was measured, for the ready-to-paste entry in the log; empty where
        the refusal is not about measurements.
    :ivar attestation_type: the type of evidence that was refused.
    :ivar detail: what to print besides (nearest entry, differing registers), already in lines of text.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        measured: dict[int, bytes] | None = None,
        attestation_type: str = "",
        detail: tuple[str, ...] = (),
    ) -> None:
        super().__init__(code, message)
        self.measured: Final = dict(measured or {})
        self.attestation_type: Final = attestation_type
        self.detail: Final = detail


class BackendError(CvmproxyError):
    """The target behind the proxy has to act."""


class RequestError(CvmproxyError):
    """The requester has to act: what came in on the accepting side is not acceptable HTTP."""
