"""The DER writer against the reader of cryptography."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from cvmproxy.attestation import der_encoding as der


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 1 << 255, (1 << 256) - 1])
def test_integers_are_shortest_and_never_negative(value):
    assert decode_dss_signature(der.sequence(der.integer(value), der.integer(1))) == (value, 1)


def test_a_negative_integer_is_refused():
    with pytest.raises(ValueError):
        der.integer(-1)


@pytest.mark.parametrize(
    ("size", "head"),
    [(0, "0400"), (127, "047f"), (128, "048180"), (255, "0481ff"), (256, "04820100"), (65536, "0483010000")],
)
def test_lengths_take_their_shortest_form(size, head):
    encoded = der.octet_string(bytes(size))
    assert encoded == bytes.fromhex(head) + bytes(size)


@pytest.mark.parametrize("dotted", ["1.3.9900.1.1", "1.2.840.113741.1.13.1", "2.5.4.3", "2.999.1"])
def test_object_identifiers_are_read_back(dotted):
    name = x509.Name([x509.NameAttribute(x509.ObjectIdentifier(dotted), "x")])
    assert der.object_identifier(dotted) in name.public_bytes()
