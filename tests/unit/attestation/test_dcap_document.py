"""The dcap-tdx document is these two members in standard base64, and nothing that could be read otherwise."""

import pytest

from cvmproxy.attestation.dcap_document import DcapDocument, decode_document
from cvmproxy.errors import EvidenceError


def test_a_document_survives_the_round_trip() -> None:
    document = DcapDocument(raw_quote=b"\xfb\xff quote", user_data=bytes(32))
    assert decode_document(document.encode()) == document
    assert document.encode().startswith(b'{"RawQuote":"+/8gcXVvdGU=","UserData":"AAAA')


def test_white_space_and_order_are_free() -> None:
    assert decode_document(b'{ "UserData" : "AA==",\n"RawQuote": "AQ==" }') == DcapDocument(
        raw_quote=b"\x01", user_data=b"\0"
    )


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"null",
        b'{"RawQuote":"AQ=="}',
        b'{"UserData":"AQ=="}',
        b'{"RawQuote":"AQ==","UserData":"AA==","Other":1}',
        b'{"RawQuote":"AQ==","RawQuote":"AQ==","UserData":"AA=="}',
        b'{"rawquote":"AQ==","UserData":"AA=="}',
        b'{"RawQuote":"AQ","UserData":"AA=="}',
        b'{"RawQuote":"AQ=","UserData":"AA=="}',
        b'{"RawQuote":"AQ===","UserData":"AA=="}',
        b'{"RawQuote":"AR==","UserData":"AA=="}',
        b'{"RawQuote":"-_8=","UserData":"AA=="}',
        b'{"RawQuote":"A Q==","UserData":"AA=="}',
        b'{"RawQuote":"AQ==\\n","UserData":"AA=="}',
        b'{"RawQuote":"AQ==AQ==","UserData":"AA=="}',
        '{"RawQuote":"ÁQ==","UserData":"AA=="}'.encode(),
        b'{"RawQuote":1,"UserData":"AA=="}',
        b'{"RawQuote":null,"UserData":"AA=="}',
        b'{"RawQuote":"","UserData":""}' + b" " * 98304,
    ],
    ids=range(20),
)
def test_anything_else_is_refused(document: bytes) -> None:
    with pytest.raises(EvidenceError) as caught:
        decode_document(document)
    assert caught.value.code == "evidence-malformed"
