"""The binding, against values computed by openssl: a mistake in it would fit itself on both of our own sides."""

from base64 import b64decode

from cvmproxy.attestation.binding import Binding, user_data_for_key
from cvmproxy.attestation.model import Nonce

SPKI = b64decode("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE" + "A" * 86 + "==")
USER_DATA = "1613ee6dfc6ee98a14ec81b41eae39a5438b50fbcbbf8a008147e557269b44cb"
EXTRA_DATA = "ab90ab2cbe388f7a9f10a14560dcd7918c9f5fa4c8d521c69c4a812ebff39173"
EXTRA_DATA_WITHOUT_NONCE = "9b1fa345fee1f072c808268044ec0ad79de4d7da4c7b9381b0acebe47b4623b9"


def test_user_data_is_the_hash_of_the_key_as_it_is_in_the_certificate() -> None:
    assert user_data_for_key(SPKI).hex() == USER_DATA


def test_extra_data_is_the_hash_of_user_data_and_nonce() -> None:
    binding = Binding(user_data=bytes.fromhex(USER_DATA), nonce=Nonce(bytes(range(32))))
    assert binding.extra_data.hex() == EXTRA_DATA
    assert binding.report_data.hex() == EXTRA_DATA + "00" * 32


def test_the_empty_nonce_adds_nothing() -> None:
    binding = Binding(user_data=bytes.fromhex(USER_DATA), nonce=Nonce(b""))
    assert binding.extra_data.hex() == EXTRA_DATA_WITHOUT_NONCE
