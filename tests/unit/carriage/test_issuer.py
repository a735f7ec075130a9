"""What a side shows: evidence made for each connection, or a certificate that stays."""

from datetime import timedelta
from os import urandom

import pytest
from cryptography import x509
from doubles.attested import SettableClock, now_result, simulated_bench
from doubles.simulated import platform

from cvmproxy.attestation.model import Nonce
from cvmproxy.carriage.certificate import MAX_LEAF_SIZE, make_leaf_key
from cvmproxy.carriage.interfaces import Credential
from cvmproxy.carriage.issuer import BareIssuer, EvidenceIssuer, StaticIssuer
from cvmproxy.errors import PlatformError

NONCE = Nonce(bytes(range(32)))


class Fixed:
    """An attester with a document of that size, or an error."""

    def __init__(self, size: int = 0, error: Exception | None = None) -> None:
        self.size, self.error = size, error

    async def attest(self, binding):
        if self.error:
            raise self.error
        return bytes(self.size)


def issuer(attester) -> EvidenceIssuer:
    return EvidenceIssuer(
        attester=attester,
        evidence_oid="1.3.9900.1.1",
        leaf_key=make_leaf_key(),
        now=SettableClock(),
        random=urandom,
    )


def test_each_connection_has_its_own_certificate_with_the_same_key(tmp_path):
    bench = simulated_bench(tmp_path / "simulated")
    bench_issuer = bench.issuer
    one, other = (now_result(bench_issuer.issue(nonce)) for nonce in (NONCE, Nonce(bytes(32))))
    assert one.certificate_der != other.certificate_der
    assert one.key is other.key
    assert x509.load_der_x509_certificate(one.certificate_der).public_key() == one.key.public_key()
    assert bench.appraise(one.certificate_der, NONCE)
    assert bench_issuer.needs_nonce


def test_the_largest_document_that_fits_is_sent_and_a_larger_one_refused():
    size = MAX_LEAF_SIZE - 400
    assert len(now_result(issuer(Fixed(size)).issue(NONCE)).certificate_der) <= MAX_LEAF_SIZE
    with pytest.raises(PlatformError) as caught:
        now_result(issuer(Fixed(MAX_LEAF_SIZE)).issue(NONCE))
    assert caught.value.code == "evidence-unavailable"
    assert str(MAX_LEAF_SIZE) in caught.value.message


def test_the_platforms_error_is_passed_on():
    with pytest.raises(PlatformError) as caught:
        now_result(issuer(Fixed(error=PlatformError("evidence-timeout", "slow"))).issue(NONCE))
    assert caught.value.code == "evidence-timeout"


def test_a_bare_certificate_is_kept_and_renewed_before_it_runs_out():
    clock = SettableClock()
    bare = BareIssuer(leaf_key=make_leaf_key(), now=clock, random=urandom)
    assert not bare.needs_nonce
    first = now_result(bare.issue(NONCE))
    assert list(x509.load_der_x509_certificate(first.certificate_der).extensions) == []
    clock.now += timedelta(minutes=59)
    assert now_result(bare.issue(Nonce(b""))) is first
    clock.now += timedelta(minutes=2)
    renewed = now_result(bare.issue(NONCE))
    assert x509.load_der_x509_certificate(renewed.certificate_der).not_valid_after_utc == clock.now + timedelta(hours=2)
    assert renewed.key is first.key


def test_a_bare_certificate_is_made_again_when_the_clock_was_set_back():
    clock = SettableClock()
    bare = BareIssuer(leaf_key=make_leaf_key(), now=clock, random=urandom)
    clock.now -= timedelta(days=1)
    leaf = x509.load_der_x509_certificate(now_result(bare.issue(NONCE)).certificate_der)
    assert leaf.not_valid_before_utc < clock.now < leaf.not_valid_after_utc


def test_the_operators_own_certificate_is_shown_to_everybody():
    credential = Credential(certificate_der=b"leaf", chain_der=(b"issuer",), key=make_leaf_key().key)
    static = StaticIssuer(credential)
    assert now_result(static.issue(NONCE)) is credential
    assert not static.needs_nonce


def test_private_keys_are_not_printed():
    credential = Credential(certificate_der=b"leaf", key=make_leaf_key().key)
    assert "PrivateKey" not in repr(credential)
    assert "PrivateKey" not in repr(platform())
