"""The leaf reader on any bytes: a leaf, or its one error."""

from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.carriage.certificate import EvidenceLeaf, make_leaf, make_leaf_key, read_leaf
from cvmproxy.errors import EvidenceError

NOW = datetime(2030, 1, 15, 12, tzinfo=UTC)
OIDS = ["1.3.9900.1.1", "1.3.9900.5.99"]
KEY = make_leaf_key()
LEAF = make_leaf(KEY, now=NOW, random=bytes, evidence_oid=OIDS[0], document=b"document" * 8)


def outcome(leaf_der: bytes) -> EvidenceLeaf | str:
    try:
        return read_leaf(leaf_der, accepted_oids=OIDS, now=NOW)
    except EvidenceError as error:
        return error.code


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600))
def test_any_bytes_are_refused(data):
    assert outcome(data) == "leaf-malformed"


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(LEAF) - 1), st.integers(1, 255))
def test_a_leaf_with_one_byte_changed_is_refused(position, change):
    altered = bytearray(LEAF)
    altered[position] ^= change
    assert outcome(bytes(altered)) == "leaf-malformed"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(LEAF) - 1), st.binary(max_size=8))
def test_a_leaf_cut_or_extended_is_refused(size, more):
    assert outcome(LEAF[:size] + more) == "leaf-malformed"
    if more:
        assert outcome(LEAF + more) == "leaf-malformed"


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000), st.sampled_from(OIDS), st.binary(min_size=16, max_size=16))
def test_any_document_is_read_back(document, oid, random):
    leaf = make_leaf(KEY, now=NOW, random=lambda size: random, evidence_oid=oid, document=document)
    assert outcome(leaf) == EvidenceLeaf(oid=oid, document=document, user_data=KEY.user_data)
