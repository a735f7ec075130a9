import pytest

from cvmproxy.attestation.operator_json import Node, read_json, shown
from cvmproxy.errors import ConfigurationError


def read(data: bytes) -> Node:
    return read_json(data, file="f.json", code="bad-measurements-file")


def test_every_value_knows_its_place() -> None:
    root = read(b'{"a/b~c": [{"d": null}]}')
    element = root.members("an object")["a/b~c"].elements("a list")[0]
    assert (root.pointer, element.pointer) == ("", "/a~1b~0c/0")
    assert element.members("an object")["d"].value is None


def test_places_are_printable_and_short() -> None:
    (member,) = read(b'{"\\u001b[31m%s": 1}' % (b"x" * 1000)).members("an object").values()
    assert member.pointer.isprintable()
    assert len(member.pointer) < 100


@pytest.mark.parametrize(
    ("data", "looks"),
    [
        (b"{}", "an empty object"),
        (b'{"a": 1}', "an object of 1 members"),
        (b"[]", "an empty array"),
        (b"[1, 2]", "an array of 2 elements"),
        (b"null", "null"),
        (b"true", "true"),
        (b'"a\\nb"', r'"a\nb"'),
    ],
)
def test_a_refusal_says_what_was_found(data: bytes, looks: str) -> None:
    error = read(data).refused("something else")
    assert error.message == f"f.json: the whole file: expected something else, found {looks}"


@pytest.mark.parametrize("take", [Node.members, Node.elements, Node.text])
def test_values_of_another_kind_are_refused(take: object) -> None:
    assert callable(take)
    with pytest.raises(ConfigurationError, match=r"at /0: expected that, found 1$"):
        take(read(b"[1]").elements("a list")[0], "that")


def test_long_values_are_cut() -> None:
    assert len(shown("x" * 1000)) < 100
