"""The simulator over HTTP: quotes and PCS collateral with which an independent verifier is content."""

from datetime import UTC, datetime
from urllib.parse import unquote_to_bytes

import dcap_qvl
import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.protocol import Protocol
from twisted.internet.task import deferLater
from twisted.web.client import Agent, HTTPConnectionPool

from cvmproxy.attestation.tdx_quote import parse_quote
from cvmproxy.errors import PlatformError
from cvmproxy.platform.remote_provider import RemoteQuoteProvider
from cvmproxy.platform.simulated_store import SimulatedStore
from cvmproxy.tools.simulator import simulator_site


def utc_now() -> datetime:
    return datetime.now(UTC)


class Body(Protocol):
    """Collects an answer's body."""

    def __init__(self) -> None:
        self.received = b""
        self.done = Deferred()

    def dataReceived(self, data):
        self.received += data

    def connectionLost(self, reason):
        self.done.callback(self.received)


class Simulator:
    def __init__(self, store: SimulatedStore, quote_delay_seconds: float) -> None:
        self.store = store
        site = simulator_site(store, quote_delay_seconds=quote_delay_seconds, reactor=reactor)
        self.port = reactor.listenTCP(0, site, interface="127.0.0.1")
        self.url = f"http://127.0.0.1:{self.port.getHost().port}"
        self.pool = HTTPConnectionPool(reactor, persistent=False)
        self.agent = Agent(reactor, pool=self.pool)

    async def get(self, path: str):
        response = await self.agent.request(b"GET", f"{self.url}{path}".encode())
        body = Body()
        response.deliverBody(body)
        return response, await body.done

    async def count(self) -> int:
        return int((await self.get("/count"))[1])


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(quote_delay_seconds: float = 0.0) -> Simulator:
        store = SimulatedStore(directory=tmp_path / "simulated", now=utc_now)
        started.append(Simulator(store, quote_delay_seconds))
        return started[-1]

    yield begin
    for simulator in started:
        pytest_twisted.blockon(simulator.port.stopListening())


@pytest_twisted.ensureDeferred
async def test_what_it_serves_satisfies_an_independent_verifier(start):
    simulator = start()
    _, quote = await simulator.get("/attest/" + "ab" * 32)
    _, root_pem = await simulator.get("/root.pem")
    fmspc = dcap_qvl.parse_quote(quote).fmspc().upper()
    tcb, tcb_body = await simulator.get(f"/tdx/certification/v4/tcb?fmspc={fmspc}")
    qe, qe_body = await simulator.get("/tdx/certification/v4/qe/identity?update=standard")
    crl, pck_crl = await simulator.get("/sgx/certification/v4/pckcrl?ca=platform&encoding=der")
    _, root_crl = await simulator.get("/IntelSGXRootCA.der")
    collateral = dcap_qvl.QuoteCollateralV3(
        pck_crl_issuer_chain=chain(crl, "SGX-PCK-CRL-Issuer-Chain"),
        root_ca_crl=root_crl,
        pck_crl=pck_crl,
        tcb_info_issuer_chain=chain(tcb, "TCB-Info-Issuer-Chain"),
        tcb_info=signed_part(tcb_body, b"tcbInfo"),
        tcb_info_signature=signature(tcb_body),
        qe_identity_issuer_chain=chain(qe, "SGX-Enclave-Identity-Issuer-Chain"),
        qe_identity=signed_part(qe_body, b"enclaveIdentity"),
        qe_identity_signature=signature(qe_body),
    )
    root_der = x509.load_pem_x509_certificate(root_pem).public_bytes(Encoding.DER)
    report = dcap_qvl.verify_with_root_ca(quote, collateral, root_der, int(utc_now().timestamp()))
    assert report.status == "UpToDate"


def chain(response, header: str) -> str:
    (value,) = response.headers.getRawHeaders(header)
    return unquote_to_bytes(value).decode()


def signed_part(body: bytes, member: bytes) -> str:
    return body.removeprefix(b'{"' + member + b'":').rpartition(b',"signature":"')[0].decode()


def signature(body: bytes) -> bytes:
    return bytes.fromhex(body.rpartition(b',"signature":"')[2].removesuffix(b'"}').decode())


@pytest_twisted.ensureDeferred
async def test_report_data_is_what_was_asked_for(start):
    simulator = start()
    for report_data in (bytes(range(32)), bytes(range(64))):
        response, quote = await simulator.get(f"/attest/{report_data.hex()}")
        assert response.code == 200
        assert parse_quote(quote).report.report_data == report_data.ljust(64, b"\0")
    assert await simulator.count() == 2


@pytest_twisted.ensureDeferred
async def test_any_other_report_data_is_refused_and_not_counted(start):
    simulator = start()
    for text in ("", "zz" * 32, "ab" * 31, "ab" * 33, "ab" * 63, "ab" * 65, "%20" + "ab" * 32, "a" * 63, "a%20" * 32):
        response, body = await simulator.get(f"/attest/{text}")
        assert (response.code, body[:4]) == (400, b"give"), text
    assert await simulator.count() == 0


@pytest_twisted.ensureDeferred
async def test_what_it_does_not_have_is_not_found(start):
    simulator = start()
    for path in (
        "/",
        "/tdx/certification/v4/tcb",
        "/tdx/certification/v4/tcb?fmspc=00806F050000",
        "/sgx/certification/v4/pckcrl?ca=processor",
        "/private/platform.json",
        "/../private/platform.json",
    ):
        response, body = await simulator.get(path)
        assert response.code == 404, path
        assert b"PRIVATE" not in body


@pytest_twisted.ensureDeferred
async def test_the_crls_come_in_the_forms_of_both_services(start):
    simulator = start()
    _, der = await simulator.get("/IntelSGXRootCA.der")
    _, hexadecimal = await simulator.get("/sgx/certification/v4/rootcacrl")
    assert bytes.fromhex(hexadecimal.decode()) == der
    _, pem = await simulator.get("/sgx/certification/v4/pckcrl?ca=platform")
    _, der = await simulator.get("/sgx/certification/v4/pckcrl?ca=platform&encoding=der")
    assert x509.load_pem_x509_crl(pem).public_bytes(Encoding.DER) == der


@pytest_twisted.ensureDeferred
async def test_a_delay_holds_up_quotes_together_and_nothing_else(start):
    simulator = start(quote_delay_seconds=0.5)
    begun = reactor.seconds()
    quotes = [Deferred.fromCoroutine(simulator.get("/attest/" + "ab" * 32)) for _ in range(8)]
    await simulator.get("/root.pem")
    assert not any(quote.called for quote in quotes)
    answers = await gatherResults(quotes)
    assert all(response.code == 200 for response, _ in answers)
    assert 0.5 <= reactor.seconds() - begun < 0.5 * 8
    assert await simulator.count() == 8


@pytest_twisted.ensureDeferred
async def test_the_remote_provider_gets_its_quotes_here(start):
    simulator = start()
    provider = RemoteQuoteProvider(url=simulator.url, agent=simulator.agent, clock=reactor)
    quote = await provider.quote(bytes(range(32)))
    assert parse_quote(quote).report.report_data == bytes(range(32)) + bytes(32)


@pytest_twisted.ensureDeferred
async def test_a_requester_that_gives_up_leaves_nothing_behind(start):
    simulator = start(quote_delay_seconds=60.0)
    provider = RemoteQuoteProvider(url=simulator.url, agent=simulator.agent, clock=reactor, deadline_seconds=0.2)
    with pytest.raises(PlatformError) as caught:
        await provider.quote(bytes(32))
    assert caught.value.code == "evidence-timeout"
    asked = Deferred.fromCoroutine(provider.quote(bytes(32)))
    asked.cancel()
    with pytest.raises(CancelledError):
        await asked
    while [call for call in reactor.getDelayedCalls() if call.getTime() - reactor.seconds() > 30]:
        await deferLater(reactor, 0.01)
    assert await simulator.count() == 0
