"""The evidence leaf: what we make is what Go makes and any parser reads; what we read is exactly one kind."""

from datetime import UTC, datetime, timedelta
from os import urandom

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from cvmproxy.attestation import der_encoding as der
from cvmproxy.attestation.binding import user_data_for_key
from cvmproxy.carriage.certificate import MAX_LEAF_SIZE, make_leaf, make_leaf_key, read_leaf
from cvmproxy.errors import EvidenceError

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
OID = "1.3.9900.1.1"
OTHER_OID = "1.3.9900.5.99"
KEY = make_leaf_key()
ALGORITHM = der.sequence(der.object_identifier("1.2.840.10045.4.3.2"))


def leaf(document=b"document", **kwargs) -> bytes:
    return make_leaf(KEY, **{"now": NOW, "random": urandom, "evidence_oid": OID, "document": document} | kwargs)


def built(
    extensions=((OID, b"document"),),
    key=None,
    signer=None,
    issuer="Constellation",
    start=-2.0,
    end=2.0,
    algorithm=SHA256,
) -> bytes:
    """A leaf by the library's own builder, which makes mutants that make_leaf cannot."""
    key = key or KEY.key
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("Constellation", issuer)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(names[0])
        .issuer_name(names[1])
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW + timedelta(hours=start))
        .not_valid_after(NOW + timedelta(hours=end))
    )
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value), critical=False)
    return builder.sign(signer or key, algorithm and algorithm()).public_bytes(Encoding.DER)


def refused(code: str, leaf_der: bytes, now=NOW, accepted=(OID, OTHER_OID)) -> str:
    with pytest.raises(EvidenceError) as caught:
        read_leaf(leaf_der, accepted_oids=accepted, now=now)
    assert caught.value.code == code
    return caught.value.message


def test_the_certificate_is_the_one_of_the_wire_contract():
    certificate = x509.load_der_x509_certificate(leaf())
    assert certificate.version is x509.Version.v3
    assert certificate.subject == certificate.issuer
    assert certificate.subject.rfc4514_string() == "CN=Constellation"
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=2)
    assert certificate.not_valid_after_utc == NOW + timedelta(hours=2)
    assert isinstance(certificate.signature_hash_algorithm, SHA256)
    assert certificate.public_key() == KEY.key.public_key()
    certificate.verify_directly_issued_by(certificate)
    (extension,) = certificate.extensions
    assert (extension.oid.dotted_string, extension.critical) == (OID, False)
    assert extension.value.value == b"document"


def test_a_leaf_without_evidence_has_no_extension():
    certificate = x509.load_der_x509_certificate(leaf(evidence_oid=""))
    assert list(certificate.extensions) == []
    refused("no-evidence", leaf(evidence_oid=""))


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 200, 255, 256, 4000, 65_000, 65_535, 65_536, 97_000])
def test_documents_of_any_size_come_back(size):
    document = urandom(size)
    read = read_leaf(leaf(document), accepted_oids=[OID, OTHER_OID], now=NOW)
    assert read.oid == OID
    assert read.document == document
    assert read.user_data == KEY.user_data


@pytest.mark.parametrize("byte", [b"\x00", b"\x7f", b"\x80", b"\xff"])
def test_serial_numbers_are_positive_whatever_the_randomness(byte):
    certificate = x509.load_der_x509_certificate(leaf(random=lambda size: byte * size))
    assert 0 < certificate.serial_number < 1 << 127


def test_serial_numbers_are_random():
    serials = {x509.load_der_x509_certificate(leaf()).serial_number for _ in range(3)}
    assert len(serials) == 3


@pytest.mark.parametrize(
    "now",
    [
        datetime(2049, 12, 31, 23, 0, 1, tzinfo=UTC),
        datetime(2049, 12, 31, 12, tzinfo=UTC),
        datetime(2051, 1, 1, tzinfo=UTC),
    ],
)
def test_times_around_2050_are_read_back(now):
    certificate = x509.load_der_x509_certificate(leaf(now=now))
    assert certificate.not_valid_before_utc == now - timedelta(hours=2)
    assert certificate.not_valid_after_utc == now + timedelta(hours=2)
    certificate.verify_directly_issued_by(certificate)


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP521R1()),
        rsa.generate_private_key(65537, 2048),
    ],
    ids=lambda key: f"{type(key).__name__}-{key.key_size}",
)
def test_leaves_with_other_keys_are_read(key):
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    read = read_leaf(built(key=key), accepted_oids=[OID], now=NOW)
    assert read.user_data == user_data_for_key(spki)


def test_keys_of_other_kinds_are_refused():
    assert "neither" in refused("leaf-malformed", built(key=ed25519.Ed25519PrivateKey.generate(), algorithm=None))
    assert "neither" in refused("leaf-malformed", built(key=rsa.generate_private_key(65537, 1024)))
    assert "neither" in refused("leaf-malformed", built(key=ec.generate_private_key(ec.SECP256K1())))


def test_a_leaf_signed_by_another_key_is_refused():
    message = refused("leaf-malformed", built(signer=ec.generate_private_key(ec.SECP256R1())))
    assert "not signed by its own key" in message


def test_a_leaf_with_another_issuer_is_refused():
    refused("leaf-malformed", built(issuer="Someone else"))


def test_a_signature_that_was_altered_is_refused():
    altered = bytearray(leaf())
    altered[-1] ^= 1
    refused("leaf-malformed", bytes(altered))


def test_a_clock_within_the_allowed_skew_is_accepted():
    for now in (NOW - timedelta(hours=2, minutes=5), NOW + timedelta(hours=2, minutes=5)):
        assert read_leaf(leaf(), accepted_oids=[OID], now=now).document == b"document"


def test_a_leaf_that_ran_out_is_refused_and_the_skew_named():
    message = refused("leaf-expired", leaf(), now=NOW + timedelta(hours=2, minutes=5, seconds=1))
    assert "301 s behind" in message
    assert "300 s are allowed" in message


def test_a_leaf_from_the_future_is_refused_and_the_skew_named():
    message = refused("leaf-not-yet-valid", leaf(), now=NOW - timedelta(hours=2, minutes=5, seconds=1))
    assert "301 s ahead" in message
    assert "300 s are allowed" in message


def test_two_acceptable_extensions_are_refused():
    refused("ambiguous-evidence", built([(OID, b"one"), (OTHER_OID, b"two")]))


def test_the_same_extension_twice_is_refused():
    once = built([(OID, b"one"), ("1.3.9900.1.2", b"two")])
    needle = bytes.fromhex("06052b cd2c 0102".replace(" ", ""))
    assert once.count(needle) == 1
    tbs_altered = once.replace(needle, bytes.fromhex("06052bcd2c0101"))
    refused("ambiguous-evidence", resigned(tbs_altered))


def test_an_unrelated_extension_twice_is_refused():
    once = built([(OID, b"one"), ("1.3.9900.7.1", b"two"), ("1.3.9900.7.2", b"two")])
    altered = once.replace(bytes.fromhex("06052bcd2c0702"), bytes.fromhex("06052bcd2c0701"))
    assert "1.3.9900.7.1" in refused("leaf-malformed", resigned(altered))


def resigned(certificate_der: bytes) -> bytes:
    """The certificate with its to-be-signed part as it is and a proper signature of the key over it."""
    return signed(x509.load_der_x509_certificate(certificate_der).tbs_certificate_bytes)


def signed(tbs: bytes) -> bytes:
    signature = KEY.key.sign(tbs, ec.ECDSA(SHA256()))
    return der.sequence(tbs, ALGORITHM, der.element(der.BIT_STRING, b"\x00" + signature))


def test_evidence_that_this_side_does_not_accept_is_no_evidence():
    message = refused("no-evidence", leaf(evidence_oid=OTHER_OID), accepted=[OID])
    assert OID in message


def test_other_extensions_beside_the_evidence_are_ignored():
    read = read_leaf(built([("1.3.9900.7.1", b"x"), (OID, b"one")]), accepted_oids=[OID, OTHER_OID], now=NOW)
    assert read.document == b"one"
    read = read_leaf(built([(OTHER_OID, b"x"), (OID, b"one")]), accepted_oids=[OID], now=NOW)
    assert read.document == b"one"


def test_what_other_extensions_hold_is_not_decoded():
    # The library would warn about each name of this length, and warnings are errors here.
    common_name = der.sequence(der.object_identifier("2.5.4.3"), der.element(0x13, b"n" * 70))
    directory_name = der.element(0xA4, der.sequence(der.element(0x31, common_name)))
    alternative_names = ("2.5.29.17", der.sequence(*[directory_name] * 100))
    assert read_leaf(built([alternative_names, (OID, b"one")]), accepted_oids=[OID], now=NOW).document == b"one"


def test_more_extensions_than_any_evidence_needs_are_refused():
    refused("leaf-malformed", built([(OID, b"one"), *((f"1.3.9900.7.{number}", b"") for number in range(64))]))


def test_a_signature_with_bits_that_do_not_count_is_refused():
    tbs = x509.load_der_x509_certificate(leaf()).tbs_certificate_bytes
    signatures = (KEY.key.sign(tbs, ec.ECDSA(SHA256())) for _ in range(100))
    even = next(signature for signature in signatures if not signature[-1] & 1)
    refused("leaf-malformed", der.sequence(tbs, ALGORITHM, der.element(der.BIT_STRING, b"\x01" + even)))


def test_a_leaf_over_the_limit_is_refused_before_it_is_parsed():
    assert str(MAX_LEAF_SIZE) in refused("leaf-too-large", bytes(MAX_LEAF_SIZE + 1))
    overhead = len(leaf(bytes(90_000), random=bytes)) - 90_000
    largest = leaf(bytes(MAX_LEAF_SIZE - overhead - 3))
    assert MAX_LEAF_SIZE - 8 < len(largest) <= MAX_LEAF_SIZE
    read_leaf(largest, accepted_oids=[OID], now=NOW)


@pytest.mark.parametrize("broken", [b"", b"\x30", b"\x30\x00", b"not a certificate", bytes(1000)])
def test_bytes_that_are_no_certificate_are_refused(broken):
    refused("leaf-malformed", broken)


@pytest.mark.parametrize("serial", ["00", "c0" + "00" * 15, "80"])
def test_a_serial_number_that_is_not_positive_is_refused_before_the_parser_warns(serial):
    honest = leaf(random=bytes)
    positive = der.integer(0x40 << 120)
    assert honest.count(positive) == 1
    altered = der.element(der.INTEGER, bytes.fromhex(serial))
    offset = honest.index(positive)
    tbs_rest = honest[offset + len(positive) : honest.rindex(ALGORITHM)]
    tbs = der.sequence(honest[offset - 5 : offset] + altered + tbs_rest)
    message = refused("leaf-malformed", signed(tbs))
    assert "positive serial number" in message
