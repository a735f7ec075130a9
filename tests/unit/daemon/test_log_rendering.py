"""Rendering of events as text and as JSON: nothing that a peer sends can break out of its line."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.daemon.log_rendering import ForeignMessage, Renderer
from cvmproxy.daemon.logging_json import JsonRenderer
from cvmproxy.daemon.logging_text import TextRenderer
from cvmproxy.events import HandshakeRefused, HandshakeSucceeded, RequestServed, Warned

WHEN = 1_700_000_000.25


def request(target: str = "/", code: str = "", peer: str = "192.0.2.1:9") -> RequestServed:
    return RequestServed(
        peer=peer, method="GET", target=target, status=200, request_bytes=0, response_bytes=5, seconds=0.5, code=code
    )


def refused(message: str = "no entry matches", paste: str = "") -> HandshakeRefused:
    return HandshakeRefused(
        connection_id=7,
        role="server",
        peer="192.0.2.1:9",
        code="measurements-mismatch",
        message=message,
        seconds=0.1,
        paste=paste,
    )


def succeeded(facts: dict[str, str]) -> HandshakeSucceeded:
    return HandshakeSucceeded(
        connection_id=7,
        role="client",
        peer="192.0.2.1:9",
        tls_version="TLSv1.3",
        attestation_type="simulated",
        measurement_id="one",
        seconds=0.1,
        facts=facts,
    )


class TestText:
    def test_a_request_is_one_line_of_key_value_pairs(self) -> None:
        assert TextRenderer().event(request(code="draining"), WHEN) == (
            "2023-11-14T22:13:20.250Z info  request    peer=192.0.2.1:9 method=GET target=/ status=200 "
            "request_bytes=0 response_bytes=5 seconds=0.500000 code=draining"
        )

    def test_a_refusal_names_its_code_and_shows_the_entry_to_paste(self) -> None:
        first, title, *paste = TextRenderer().event(refused(paste='[\n  {"a": 1}\n]'), WHEN).split("\n")
        assert "code=measurements-mismatch" in first
        assert first.startswith("2023-11-14T22:13:20.250Z warn  refused    no entry matches connection_id=7")
        assert title.endswith("as an entry for the measurements file:")
        assert [line.removeprefix("    ") for line in paste] == ["[", '  {"a": 1}', "]"]

    def test_facts_are_pairs_of_their_own(self) -> None:
        assert 'tcb_status=UpToDate "odd key"=1' in TextRenderer().event(
            succeeded({"tcb_status": "UpToDate", "odd key": "1"}), WHEN
        )

    @pytest.mark.parametrize("character", ["\n", "\r", "\x1b", "\x00", "\u2028", "\u202e", "\x85", "\udc80"])
    def test_what_is_not_printable_is_escaped(self, character: str) -> None:
        line = TextRenderer().event(request(target=f"/a{character}b"), WHEN)
        assert character not in line
        assert 'target="/a\\' in line

    def test_a_value_cannot_forge_a_pair(self) -> None:
        line = TextRenderer().event(request(target='/ status=500 x="'), WHEN)
        assert 'target="/ status=500 x=\\""' in line

    def test_a_traceback_is_indented(self) -> None:
        lines = TextRenderer().foreign(
            ForeignMessage(level="error", source="twisted", message="boom", traceback="one\n2023 info forged"), WHEN
        )
        assert lines.split("\n")[1:] == ["    one", "    2023 info forged"]


class TestJson:
    def test_a_request_has_the_same_keys_as_its_event(self) -> None:
        assert json.loads(JsonRenderer().event(request(code="draining"), WHEN)) == {
            "time": "2023-11-14T22:13:20.250Z",
            "level": "info",
            "event": "request",
            "peer": "192.0.2.1:9",
            "method": "GET",
            "target": "/",
            "status": 200,
            "request_bytes": 0,
            "response_bytes": 5,
            "seconds": 0.5,
            "code": "draining",
        }

    def test_a_refusal_has_code_message_and_entry_to_paste(self) -> None:
        entry = json.loads(JsonRenderer().event(refused(paste='[{"a": 1}]'), WHEN))
        assert (entry["event"], entry["level"], entry["code"]) == ("refused", "warn", "measurements-mismatch")
        assert json.loads(entry["paste"]) == [{"a": 1}]

    def test_facts_are_an_object(self) -> None:
        assert json.loads(JsonRenderer().event(succeeded({"fmspc": "00"}), WHEN))["facts"] == {"fmspc": "00"}

    def test_a_traceback_stays_in_its_object(self) -> None:
        line = JsonRenderer().foreign(
            ForeignMessage(level="error", source="twisted", message="boom", traceback="one\ntwo"), WHEN
        )
        assert "\n" not in line
        assert json.loads(line)["traceback"] == "one\ntwo"


ANY_TEXT = st.text(st.characters(codec=None))


@settings(deadline=None, max_examples=150)
@given(text=ANY_TEXT, other=ANY_TEXT)
def test_any_values_make_one_line_of_json_that_says_them(text: str, other: str) -> None:
    for event in (request(target=text, code=other), Warned(message=text, code=other)):
        line = JsonRenderer().event(event, WHEN)
        assert "\n" not in line
        assert line.isascii()
        assert text in json.loads(line).values() or text == ""


@settings(deadline=None, max_examples=150)
@given(text=ANY_TEXT, other=ANY_TEXT)
def test_any_values_make_printable_text_where_only_indented_lines_follow(text: str, other: str) -> None:
    renderer: Renderer = TextRenderer()
    entries = [
        renderer.event(request(target=text, code=other, peer=other), WHEN),
        renderer.event(refused(message=text, paste=other), WHEN),
        renderer.event(succeeded({text: other}), WHEN),
        renderer.foreign(ForeignMessage(level="info", source=other, message=text, traceback=text), WHEN),
    ]
    for entry in entries:
        first, *rest = entry.split("\n")
        assert all(line.isprintable() for line in (first, *rest))
        assert all(line.startswith("    ") for line in rest)
