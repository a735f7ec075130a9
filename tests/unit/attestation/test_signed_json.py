"""JSON with one meaning, and the exact bytes of its members."""

import pytest

from cvmproxy.attestation.json_shape import Shape
from cvmproxy.attestation.signed_json import JsonError, cut_members, parse_json


def test_members_are_cut_byte_for_byte() -> None:
    body = b' {"a" : {"b":  [1, 2],"c":"\xc3\xa9}"} ,\n"signature":"00"} \n'
    assert cut_members(body) == {
        "a": ({"b": [1, 2], "c": "é}"}, b'{"b":  [1, 2],"c":"\xc3\xa9}"}'),
        "signature": ("00", b'"00"'),
    }


AMBIGUOUS = [
    b'{"a":1,"a":1}',
    b'{"a":{"b":1,"b":2}}',
    b'{"a":1,"\\u0061":1}',
    b'{"a":NaN}',
    b'{"a":Infinity}',
    b'{"a":1.0}',
    b'{"a":1e3}',
    b'{"a":123456789012345678901}',
    b'{"a":1}x',
    b'{"a":1,}',
    b'{"a":01}',
    b"{'a':1}",
    b"{1:1}",
    b"{[]:1}",
    b"{null:1}",
    b'{"a":"\n"}',
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":"\xff"}',
    b'{"a":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    b"",
    b"{",
    b'{"a"',
    b'{"a":',
]


@pytest.mark.parametrize("text", AMBIGUOUS, ids=range(len(AMBIGUOUS)))
def test_ambiguous_or_broken_text_is_refused_by_both_readers(text: bytes) -> None:
    with pytest.raises(JsonError):
        parse_json(text)
    with pytest.raises(JsonError):
        cut_members(text)


@pytest.mark.parametrize("text", [b"[]", b'"a"', b"1", b"null", b"{}"])
def test_only_an_object_with_members_can_be_cut(text: bytes) -> None:
    with pytest.raises(JsonError):
        cut_members(text)


@pytest.mark.parametrize(
    "time",
    ["2025-06-19T10:32:27", "2025-06-19T10:32:27z", "2025-06-19 10:32:27Z", "2025-06-19T10:32:27.0Z",
     "2025-06-19T10:32:27+00:00", "2025-6-19T10:32:27Z", "2025-02-30T10:32:27Z", "2025-06-19T24:00:00Z",
     "2025-06-19T10:32:60Z", "0000-06-19T10:32:27Z", "2025-06-19T10:32:27Z\n",
     "\u0662\u0660\u0662\u0665-06-19T10:32:27Z", "", 1],
)  # fmt: skip
def test_a_time_is_written_in_one_way(time: object) -> None:
    assert Shape("2025-06-19T10:32:27Z", "t").time().isoformat() == "2025-06-19T10:32:27+00:00"
    with pytest.raises(JsonError, match="t is not a"):
        Shape(time, "t").time()


@pytest.mark.parametrize("text", ["0", "000", "0g", " 00", "0x", "+0", "\u0660\u0660", 0, None])
def test_hex_has_its_size_and_nothing_else(text: object) -> None:
    assert Shape("aF", "h").octets(1) == b"\xaf"
    with pytest.raises(JsonError, match="h is not"):
        Shape(text, "h").octets(1)


@pytest.mark.parametrize("number", [-1, 256, True, "1", None])
def test_a_number_is_an_integer_in_its_range(number: object) -> None:
    assert Shape(255, "n").number(255) == 255
    with pytest.raises(JsonError, match="n is not"):
        Shape(number, "n").number(255)


def test_an_error_names_the_place() -> None:
    with pytest.raises(JsonError, match=r"tcbInfo\.levels\[1\]\.date is not"):
        Shape({"levels": [{}, {"date": 1}]}, "tcbInfo").member("levels").elements()[1].member("date").time()
