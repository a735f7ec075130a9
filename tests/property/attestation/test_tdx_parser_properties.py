"""Every parser of TDX evidence and collateral: any bytes give a value or that parser's one error."""

import base64
import json
from collections.abc import Callable
from contextlib import suppress

from attrs import evolve
from cryptography import x509
from doubles.simulated import NOW, platform
from doubles.tdx_scenarios import Case, Scenario
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cvmproxy.attestation.certificate_chain import UNREADABLE, Certificate, TrustRoot, load_chain
from cvmproxy.attestation.collateral import authenticate_tcb_info, parse_qe_identity, parse_tcb_info
from cvmproxy.attestation.dcap import read_quote
from cvmproxy.attestation.dcap_document import DcapDocument, decode_document
from cvmproxy.attestation.der_decoding import DerError, elements
from cvmproxy.attestation.json_shape import Shape
from cvmproxy.attestation.model import Endorsement
from cvmproxy.attestation.pck import parse_sgx_extension
from cvmproxy.attestation.revocation import RevocationList
from cvmproxy.attestation.signed_json import JsonError, cut_members, parse_json
from cvmproxy.attestation.tdx_quote import parse_quote
from cvmproxy.errors import CollateralError, ConfigurationError, CvmproxyError, EvidenceError
from cvmproxy.platform.simulated_collateral import default_qe_identity, default_tcb_info
from cvmproxy.platform.simulated_pki import PlatformIdentity, mint_crl, sgx_extension

bounded = settings(max_examples=150, deadline=None)

CASE = Scenario(version=5).finish()
QUOTE = CASE.quote
EXTENSION = sgx_extension(PlatformIdentity())
PKI = platform().pki
ROOT = TrustRoot.from_der(PKI.root.certificate_der)
COLLATERAL = platform().collateral(NOW)
ROOT_CRL = RevocationList.authenticate(COLLATERAL.root_ca_crl, ROOT.certificate, NOW)
CRL = mint_crl(PKI.root, this_update=NOW, next_update=NOW, revoked_serials=(4711, 4712))


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with a piece of them replaced, by shorter, longer or equal ones."""
    positions = st.integers(0, len(data))
    return st.builds(
        lambda start, size, piece: data[:start] + piece + data[start + size :],
        positions,
        st.integers(0, 8),
        st.binary(max_size=8),
    )


def anything_like(data: bytes) -> st.SearchStrategy[bytes]:
    return st.one_of(st.binary(max_size=400), mutated(data))


def gives_a_value_or(error: type[Exception] | tuple[type[Exception], ...], parse: Callable[[], object]) -> None:
    with suppress(error):
        assert parse() is not None


@bounded
@given(anything_like(QUOTE))
def test_a_quote(data: bytes) -> None:
    gives_a_value_or(EvidenceError, lambda: read_quote(data))


@bounded
@given(anything_like(QUOTE))
def test_what_is_parsed_is_written_back(data: bytes) -> None:
    try:
        quote = parse_quote(data)
    except EvidenceError:
        return
    assert quote.serialise() == data


@bounded
@given(mutated(QUOTE))
def test_a_changed_quote_is_never_accepted_for_other_claims(data: bytes) -> None:
    changed = evolve(CASE, quote=data)
    try:
        claims = changed.authenticate()
    except CvmproxyError:
        return
    # What may change: bytes after the signature, the PEM's own freedom, and an ECDSA signature's other form.
    assert claims == CASE.authenticate()


@bounded
@given(anything_like(EXTENSION))
def test_an_sgx_extension(data: bytes) -> None:
    gives_a_value_or(EvidenceError, lambda: parse_sgx_extension(data))


@bounded
@given(anything_like(EXTENSION))
def test_der(data: bytes) -> None:
    gives_a_value_or(DerError, lambda: list(elements(data)))


@bounded
@given(anything_like(DcapDocument(raw_quote=b"q" * 40, user_data=bytes(32)).encode()))
def test_a_document(data: bytes) -> None:
    gives_a_value_or(EvidenceError, lambda: decode_document(data))


@bounded
@given(st.binary(max_size=300), st.binary(max_size=40))
def test_a_document_survives_the_round_trip(raw_quote: bytes, user_data: bytes) -> None:
    document = DcapDocument(raw_quote=raw_quote, user_data=user_data)
    assert decode_document(document.encode()) == document


@bounded
@given(anything_like(COLLATERAL.tcb_info_body))
def test_json(data: bytes) -> None:
    gives_a_value_or(JsonError, lambda: [parse_json(data)])
    gives_a_value_or(JsonError, lambda: cut_members(data))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


@bounded
@given(values, st.text(max_size=4), values)
def test_members_are_cut_in_the_bytes_that_they_were_written_in(one: object, name: str, other: object) -> None:
    texts = [json.dumps(one, indent=1), json.dumps(other, ensure_ascii=False)]
    key = json.dumps("x" + name)
    body = f'{{ "a":{texts[0]} ,{key} : {texts[1]}}}'.encode()
    if any(isinstance(value, int) and abs(value) > 10**18 for value in (one, other)):
        return
    try:
        cut = cut_members(body)
    except JsonError:
        return
    assert [written for _, written in cut.values()] == [text.encode() for text in texts]


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON tree."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def replaced(value: object, path: tuple[str | int, ...], new: object) -> object:
    if not path:
        return new
    copied = json.loads(json.dumps(value))
    inner = copied
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = new
    return copied


TCB_INFO = default_tcb_info(PlatformIdentity(), NOW)
QE_IDENTITY = default_qe_identity(NOW)


@bounded
@given(st.sampled_from(places(TCB_INFO)), values)
def test_tcb_info_of_another_shape(path: tuple[str | int, ...], new: object) -> None:
    changed = Shape(replaced(TCB_INFO, path, new), "tcbInfo")
    gives_a_value_or((JsonError, CollateralError), lambda: parse_tcb_info(changed))


@bounded
@given(st.sampled_from(places(QE_IDENTITY)), values)
def test_a_qe_identity_of_another_shape(path: tuple[str | int, ...], new: object) -> None:
    changed = Shape(replaced(QE_IDENTITY, path, new), "enclaveIdentity")
    gives_a_value_or((JsonError, CollateralError), lambda: parse_qe_identity(changed))


@bounded
@given(anything_like(COLLATERAL.tcb_info_body), anything_like(COLLATERAL.tcb_info_issuer_chain))
def test_signed_collateral(body: bytes, chain: bytes) -> None:
    endorsement = Endorsement(body=body, issuer_chain_pem=chain)
    gives_a_value_or(CollateralError, lambda: authenticate_tcb_info(endorsement, ROOT, ROOT_CRL, NOW))


@bounded
@given(anything_like(CRL))
@example(CRL.replace(b"Intel", b"\xff\xff\xff\xff\xff"))
@example(CRL.replace(b"\x02\x01\x01\x30", b"\x02\x01\x07\x30", 1))
def test_a_crl(data: bytes) -> None:
    gives_a_value_or(CollateralError, lambda: RevocationList.authenticate(data, ROOT.certificate, NOW))


@bounded
@given(mutated(CRL))
def test_an_authentic_crl_of_any_content_answers(data: bytes) -> None:
    try:
        crl = x509.load_der_x509_crl(data)
    except UNREADABLE:
        return
    found = RevocationList(parsed=crl, next_update=NOW)
    with suppress(CollateralError):
        found.require_not_revoked(ROOT.certificate, CollateralError)


@bounded
@given(anything_like(PKI.root.certificate_der))
@example(PKI.root.certificate_der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1))
def test_a_root(data: bytes) -> None:
    gives_a_value_or(ConfigurationError, lambda: TrustRoot.from_der(data))


@bounded
@given(anything_like(PKI.pck_chain_pem))
def test_a_chain(data: bytes) -> None:
    gives_a_value_or(ValueError, lambda: [Certificate.read(each) for each in load_chain(data)])


def pem_of(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


@bounded
@given(mutated(PKI.platform_ca.certificate_der))
@example(PKI.platform_ca.certificate_der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1))
def test_a_certificate(data: bytes) -> None:
    gives_a_value_or(ValueError, lambda: [Certificate.read(each) for each in load_chain(pem_of(data))])


def test_the_case_itself_is_accepted() -> None:
    assert isinstance(CASE, Case)
    assert CASE.outcome() == "accepted"
