"""The HTTP service of ``cvmproxy simulator``: a simulated platform for other programs (cli).

======================================== ==========================================================================
``/attest/{hex}``                        a raw quote for 32 bytes (zero-padded to 64) or 64 bytes of report data
``/tdx/certification/v4/tcb?fmspc=``     TCB info; this and the next two with their issuer chain in a header, as PCS v4
``/tdx/certification/v4/qe/identity``    QE identity
``/sgx/certification/v4/pckcrl?ca=``     PCK CRL of the platform CA, DER with ``encoding=der``, else PEM
``/sgx/certification/v4/rootcacrl``      root CRL in hex, as a PCCS has it
``/IntelSGXRootCA.der``                  root CRL in DER, as Intel's certificates host has it
``/root.pem``                            the simulated root
``/count``                               how many quotes were made since the start: one for each nonce
======================================== ==========================================================================
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote as url_quote

from attrs import frozen
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from cvmproxy.errors import CollateralError
from cvmproxy.platform.simulated_collateral import SimulatedCollateral
from cvmproxy.platform.simulated_directory import SimulatedDirectory, threads_of
from cvmproxy.platform.simulated_platform import SimulatedPlatform
from cvmproxy.platform.simulated_store import SimulatedStore

_log: Final = Logger()

_REPORT_DATA: Final = re.compile("(?:[0-9a-fA-F]{64}){1,2}")


@frozen(kw_only=True)
class _Answer:
    body: bytes
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    issuer_chain_header: str = ""
    issuer_chain_pem: bytes = b""


def simulator_site(store: SimulatedStore, *, quote_delay_seconds: float = 0.0, reactor: Any) -> Site:
    """Build the site. Reads the platform's directory, and makes it where missing: call it before listening.

    :param quote_delay_seconds: how long every quote takes, as on a slow platform; others are answered meanwhile.
    :raises ConfigurationError: the directory cannot be used.
    """
    platform = store.platform()
    directory = SimulatedDirectory(store, run_in_thread=threads_of(reactor))
    simulator = _Simulator(platform, directory, quote_delay_seconds, reactor)
    site = _UnloggedSite(simulator, reactor=reactor)  # type: ignore[no-untyped-call] # likewise
    site.displayTracebacks = False
    site.noisy = False
    return site


def read_report_data(text: str) -> bytes | None:
    """Return the 64 bytes that are meant by 64 hex digits, with zeros after them, or by 128; else ``None``."""
    # Python's own reader of hex skips blanks.
    return bytes.fromhex(text).ljust(64, b"\0") if _REPORT_DATA.fullmatch(text) else None


class _UnloggedSite(Site):
    """A site without an access log: a test bench that asks thousands of times wants none."""

    def log(self, request: HttpRequest) -> None:
        """Log nothing."""


class _Simulator(Resource):
    isLeaf = True

    def __init__(
        self, platform: SimulatedPlatform, directory: SimulatedDirectory, quote_delay_seconds: float, reactor: Any
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Twisted has no annotation there
        self._platform: Final = platform
        self._directory: Final = directory
        self._quote_delay_seconds: Final = quote_delay_seconds
        self._reactor: Final = reactor
        self._quotes_made = 0

    def render_GET(self, request: Request) -> int:
        """Answer, at once or after the delay."""
        answering = Deferred.fromCoroutine(self._answer(request))
        # A requester that went away wants no answer any more.
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addCallbacks(lambda answer: _write(request, answer), lambda failure: _write_failure(request, failure))
        return NOT_DONE_YET

    async def _answer(self, request: Request) -> _Answer:
        path = request.path.decode("ascii", "replace")
        if path.startswith("/attest/"):
            return await self._quote(path.removeprefix("/attest/"))
        if path == "/count":
            return _Answer(body=b"%d\n" % self._quotes_made)
        if path == "/root.pem":
            return _Answer(body=self._platform.pki.root.certificate_pem, content_type="application/x-pem-file")
        return _collateral_answer(path, _parameters(request), await self._directory.current())

    async def _quote(self, report_data_hex: str) -> _Answer:
        report_data = read_report_data(report_data_hex)
        if report_data is None:
            return _Answer(status=400, body=b"give 64 or 128 hex digits: 32 or 64 bytes of report data\n")
        if self._quote_delay_seconds > 0:
            await deferLater(self._reactor, self._quote_delay_seconds)
        self._quotes_made += 1
        return _Answer(body=self._platform.quote(report_data), content_type="application/octet-stream")


def _parameters(request: Request) -> Mapping[str, str]:
    return {name.decode("latin-1"): values[-1].decode("latin-1") for name, values in (request.args or {}).items()}


def _collateral_answer(path: str, parameters: Mapping[str, str], collateral: SimulatedCollateral) -> _Answer:
    if path == "/tdx/certification/v4/tcb" and parameters.get("fmspc", "").lower() == collateral.fmspc:
        return _Answer(
            body=collateral.tcb_info_body,
            content_type="application/json",
            issuer_chain_header="TCB-Info-Issuer-Chain",
            issuer_chain_pem=collateral.tcb_info_issuer_chain,
        )
    if path == "/tdx/certification/v4/qe/identity":
        return _Answer(
            body=collateral.qe_identity_body,
            content_type="application/json",
            issuer_chain_header="SGX-Enclave-Identity-Issuer-Chain",
            issuer_chain_pem=collateral.qe_identity_issuer_chain,
        )
    if path == "/sgx/certification/v4/pckcrl" and parameters.get("ca") == "platform":
        in_der = parameters.get("encoding") == "der"
        return _Answer(
            body=collateral.pck_crl if in_der else _pem(collateral.pck_crl),
            content_type="application/pkix-crl" if in_der else "application/x-pem-file",
            issuer_chain_header="SGX-PCK-CRL-Issuer-Chain",
            issuer_chain_pem=collateral.pck_crl_issuer_chain,
        )
    if path == "/sgx/certification/v4/rootcacrl":
        return _Answer(body=collateral.root_ca_crl.hex().encode("ascii"))
    if path == "/IntelSGXRootCA.der":
        return _Answer(body=collateral.root_ca_crl, content_type="application/pkix-crl")
    return _Answer(status=404, body=b"the simulated platform has nothing of that name\n")


def _pem(crl_der: bytes) -> bytes:
    return x509.load_der_x509_crl(crl_der).public_bytes(Encoding.PEM)


def _write(request: Request, answer: _Answer) -> None:
    request.setResponseCode(answer.status)
    request.setHeader("Content-Type", answer.content_type)
    request.setHeader("Content-Length", str(len(answer.body)))
    if answer.issuer_chain_header:
        request.setHeader(answer.issuer_chain_header, url_quote(answer.issuer_chain_pem, safe=""))
    request.write(answer.body)
    request.finish()


def _write_failure(request: Request, failure: Failure) -> None:
    if failure.check(CancelledError):
        return
    if failure.check(CollateralError):
        _write(request, _Answer(status=503, body=f"{failure.value}\n".encode()))
        return
    _log.failure("the simulator failed to answer", failure)
    _write(request, _Answer(status=500, body=b"internal-error\n"))
