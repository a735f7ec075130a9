"""Every request that two implementations could read differently, and what the reader says of it."""

import pytest
from doubles.http_streams import NaiveFieldParser, read_requests

from cvmproxy.http.limits import HttpLimits
from cvmproxy.http.messages import CHUNKED, NO_BODY, BodyData, ContentLength, EndOfMessage, RequestHead

MALFORMED = "request-malformed"
TOO_LARGE = "request-head-too-large"
VERSION = "request-version"

G = b"GET / HTTP/1.1\r\nHost: x\r\n"
P = b"POST / HTTP/1.1\r\nHost: x\r\n"
C = P + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"\r\n"

REFUSED = {
    # -- Content-Length and Transfer-Encoding
    "length with transfer-encoding": (P + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n" + END, MALFORMED),
    "transfer-encoding with length": (P + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n" + END, MALFORMED),
    "differing lengths": (P + b"Content-Length: 3\r\nContent-Length: 4\r\n" + END + b"abcd", MALFORMED),
    "equal lengths": (P + b"Content-Length: 3\r\nContent-Length: 3\r\n" + END + b"abc", MALFORMED),
    "equal lengths in other case": (P + b"Content-Length: 3\r\ncontent-length: 3\r\n" + END + b"abc", MALFORMED),
    "list of lengths": (P + b"Content-Length: 3, 3\r\n" + END + b"abc", MALFORMED),
    "length with plus": (P + b"Content-Length: +3\r\n" + END + b"abc", MALFORMED),
    "length with minus": (P + b"Content-Length: -3\r\n" + END + b"abc", MALFORMED),
    "length in hexadecimal": (P + b"Content-Length: 0x3\r\n" + END + b"abc", MALFORMED),
    "length with underscore": (P + b"Content-Length: 1_0\r\n" + END + b"abc", MALFORMED),
    "length with inner space": (P + b"Content-Length: 1 0\r\n" + END + b"abc", MALFORMED),
    "length with fraction": (P + b"Content-Length: 3.0\r\n" + END + b"abc", MALFORMED),
    "length in other digits": (P + b"Content-Length: \xd9\xa3\r\n" + END + b"abc", MALFORMED),
    "length with vertical tab": (P + b"Content-Length: \x0b3\r\n" + END + b"abc", MALFORMED),
    "length in quotes": (P + b'Content-Length: "3"\r\n' + END + b"abc", MALFORMED),
    "empty length": (P + b"Content-Length:\r\n" + END, MALFORMED),
    "length of 19 digits": (P + b"Content-Length: 1000000000000000000\r\n" + END, MALFORMED),
    "length of 2**64 + 3": (P + b"Content-Length: 18446744073709551619\r\n" + END + b"abc", MALFORMED),
    "content_length": (P + b"Content_Length: 3\r\n" + END, MALFORMED),
    "transfer_encoding": (P + b"transfer_Encoding: chunked\r\n" + END, MALFORMED),
    "transfer-encoding gzip, chunked": (P + b"Transfer-Encoding: gzip, chunked\r\n" + END, MALFORMED),
    "transfer-encoding chunked, chunked": (P + b"Transfer-Encoding: chunked, chunked\r\n" + END, MALFORMED),
    "two transfer-encodings": (P + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" + END, MALFORMED),
    "transfer-encoding identity": (P + b"Transfer-Encoding: identity\r\n" + END, MALFORMED),
    "transfer-encoding xchunked": (P + b"Transfer-Encoding: xchunked\r\n" + END, MALFORMED),
    "transfer-encoding with parameter": (P + b"Transfer-Encoding: chunked;q=1\r\n" + END, MALFORMED),
    "transfer-encoding in quotes": (P + b'Transfer-Encoding: "chunked"\r\n' + END, MALFORMED),
    "transfer-encoding with comma": (P + b"Transfer-Encoding: chunked,\r\n" + END, MALFORMED),
    "transfer-encoding with vertical tab": (P + b"Transfer-Encoding: \x0bchunked\r\n" + END, MALFORMED),
    "empty transfer-encoding": (P + b"Transfer-Encoding:\r\n" + END, MALFORMED),
    "transfer-encoding in 1.0": (b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n" + END, MALFORMED),
    # -- lines
    "folded line": (G + b"A: b\r\n c\r\n" + END, MALFORMED),
    "line folded with a tab": (G + b"A: b\r\n\tc\r\n" + END, MALFORMED),
    "folded first line": (b"GET / HTTP/1.1\r\n Host: x\r\n" + END, MALFORMED),
    "folded transfer-encoding": (P + b"Transfer-Encoding:\r\n chunked\r\n" + END, MALFORMED),
    "bare LF after request line": (b"GET / HTTP/1.1\nHost: x\r\n" + END, MALFORMED),
    "bare LF after field": (b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n" + END, MALFORMED),
    "bare LF in value": (G + b"A: b\nTransfer-Encoding: chunked\r\n" + END, MALFORMED),
    "bare LF twice as end": (b"GET / HTTP/1.1\r\nHost: x\n\n", MALFORMED),
    "bare LF before empty line": (b"GET / HTTP/1.1\r\nHost: x\n\r\n", MALFORMED),
    "bare CR in value": (G + b"A: b\rc\r\n" + END, MALFORMED),
    "bare CR before CR LF": (G + b"A: b\r\r\n" + END, MALFORMED),
    "bare CR after request line": (b"GET / HTTP/1.1\rHost: x\r\n" + END, MALFORMED),
    "bare CR in name": (G + b"A\rB: c\r\n" + END, MALFORMED),
    "NUL in value": (G + b"A: b\x00c\r\n" + END, MALFORMED),
    "NUL in name": (G + b"A\x00: c\r\n" + END, MALFORMED),
    "escape in value": (G + b"A: \x1b[2J\r\n" + END, MALFORMED),
    "delete in value": (G + b"A: \x7f\r\n" + END, MALFORMED),
    "space before colon": (G + b"A : b\r\n" + END, MALFORMED),
    "tab before colon": (G + b"A\t: b\r\n" + END, MALFORMED),
    "space before colon of transfer-encoding": (P + b"Transfer-Encoding : chunked\r\n" + END, MALFORMED),
    "empty name": (G + b": b\r\n" + END, MALFORMED),
    "no colon": (G + b"Abc\r\n" + END, MALFORMED),
    "slash in name": (G + b"A/B: c\r\n" + END, MALFORMED),
    "non-ASCII in name": (G + b"\xc5\xbf: c\r\n" + END, MALFORMED),
    "inner space in name": (G + b"A B: c\r\n" + END, MALFORMED),
    # -- the request line
    "HTTP/0.9": (b"GET /\r\n", MALFORMED),
    "HTTP/0.9 with fields": (b"GET /\r\nHost: x\r\n" + END, MALFORMED),
    "two empty lines before": (b"\r\n\r\n" + G + END, MALFORMED),
    "LF before": (b"\n" + G + END, MALFORMED),
    "space before": (b" " + G + END, MALFORMED),
    "no method": (b" / HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "method with a colon": (b"GE:T / HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "method with non-ASCII": (b"GE\xd4 / HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "method of 33 characters": (b"G" * 33 + b" / HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "two spaces before target": (b"GET  / HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "two spaces after target": (b"GET /  HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "tabs for spaces": (b"GET\t/\tHTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "space in target": (b"GET /a b HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "version in target": (b"GET / HTTP/1.1 HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "control character in target": (b"GET /\x01 HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "non-ASCII in target": (b"GET /\xff HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "fragment in target": (b"GET /a#b HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "relative target": (b"GET a HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "no target": (b"GET  HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "asterisk of GET": (b"GET * HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "CONNECT": (b"CONNECT x:1 HTTP/1.1\r\nHost: x:1\r\n" + END, MALFORMED),
    "CONNECT with a path": (b"CONNECT / HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "authority of GET": (b"GET x:1 HTTP/1.1\r\nHost: x:1\r\n" + END, MALFORMED),
    "absolute target of another host": (b"GET http://y/ HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "absolute target of another port": (b"GET http://x:80/ HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "absolute target with user": (b"GET http://x@y/ HTTP/1.1\r\nHost: y\r\n" + END, MALFORMED),
    "absolute target of another scheme": (b"GET ftp://x/ HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "absolute target without host": (b"GET http:///a HTTP/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "space after version": (b"GET / HTTP/1.1 \r\nHost: x\r\n" + END, MALFORMED),
    "lower-case version": (b"GET / http/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "version of two digits": (b"GET / HTTP/1.10\r\nHost: x\r\n" + END, MALFORMED),
    "version with leading zero": (b"GET / HTTP/01.1\r\nHost: x\r\n" + END, MALFORMED),
    "version without minor": (b"GET / HTTP/2\r\nHost: x\r\n" + END, MALFORMED),
    "version in words": (b"GET / HTTP/x.y\r\nHost: x\r\n" + END, MALFORMED),
    "other protocol": (b"GET / HTTPS/1.1\r\nHost: x\r\n" + END, MALFORMED),
    "TLS": (b"\x16\x03\x01\x00\xa5\x01\x00\x00", MALFORMED),
    "HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", VERSION),
    "HTTP/1.2": (b"GET / HTTP/1.2\r\nHost: x\r\n" + END, VERSION),
    "HTTP/0.9 by name": (b"GET / HTTP/0.9\r\n" + END, VERSION),
    "HTTP/3.0 without an end": (b"GET / HTTP/3.0\r\n", VERSION),
    # -- Host
    "no Host": (b"GET / HTTP/1.1\r\n" + END, MALFORMED),
    "two Hosts": (G + b"Host: x\r\n" + END, MALFORMED),
    "two Hosts in 1.0": (b"GET / HTTP/1.0\r\nHost: x\r\nhost: x\r\n" + END, MALFORMED),
    "empty Host": (b"GET / HTTP/1.1\r\nHost:\r\n" + END, MALFORMED),
    "Host with a path": (b"GET / HTTP/1.1\r\nHost: x/y\r\n" + END, MALFORMED),
    "Host with user": (b"GET / HTTP/1.1\r\nHost: u@x\r\n" + END, MALFORMED),
    "Host list": (b"GET / HTTP/1.1\r\nHost: x, y\r\n" + END, MALFORMED),
    "Host with a long port": (b"GET / HTTP/1.1\r\nHost: x:123456\r\n" + END, MALFORMED),
    "Host with an empty port": (b"GET / HTTP/1.1\r\nHost: x:\r\n" + END, MALFORMED),
    "Host with open bracket": (b"GET / HTTP/1.1\r\nHost: [::1\r\n" + END, MALFORMED),
    "Host with non-ASCII": (b"GET / HTTP/1.1\r\nHost: \xfc\r\n" + END, MALFORMED),
    # -- other fields that act on the connection
    "expectation unknown": (G + b"Expect: 200-ok\r\n" + END, MALFORMED),
    "expectation repeated": (G + b"Expect: 100-continue\r\nExpect: 100-continue\r\n" + END, MALFORMED),
    "expectation empty": (G + b"Expect:\r\n" + END, MALFORMED),
    "Connection not of tokens": (G + b"Connection: a b\r\n" + END, MALFORMED),
    "Connection with parameter": (G + b"Connection: close;x=1\r\n" + END, MALFORMED),
    # -- chunked bodies
    "chunk size missing": (C + b"\r\n", MALFORMED),
    "chunk size with plus": (C + b"+3\r\nabc\r\n", MALFORMED),
    "chunk size with minus": (C + b"-3\r\nabc\r\n", MALFORMED),
    "chunk size with 0x": (C + b"0x3\r\nabc\r\n", MALFORMED),
    "chunk size with underscore": (C + b"1_0\r\nabc\r\n", MALFORMED),
    "chunk size after space": (C + b" 3\r\nabc\r\n", MALFORMED),
    "chunk size before space": (C + b"3 \r\nabc\r\n", MALFORMED),
    "chunk size before tab": (C + b"3\t\r\nabc\r\n", MALFORMED),
    "chunk size no hexadecimal": (C + b"g\r\nabc\r\n", MALFORMED),
    "chunk size of 17 digits": (C + b"00000000000000003\r\nabc\r\n", MALFORMED),
    "chunk size of 2**63": (C + b"8000000000000000\r\nabc\r\n", MALFORMED),
    "chunk size ends in LF": (C + b"3\nabc\r\n", MALFORMED),
    "chunk size ends in CR": (C + b"3\rabc\r\n", MALFORMED),
    "chunk size ends in CR CR LF": (C + b"3\r\r\nabc\r\n", MALFORMED),
    "chunk size ends in LF, alone": (C + b"3\n", MALFORMED),
    "extension with LF": (C + b"3;a\nb\r\nabc\r\n", MALFORMED),
    "extension with CR": (C + b"3;a\rb\r\nabc\r\n", MALFORMED),
    "extension with NUL": (C + b"3;a=\x00\r\nabc\r\n", MALFORMED),
    "extension without name": (C + b"3;\r\nabc\r\n", MALFORMED),
    "extension without value": (C + b"3;a=\r\nabc\r\n", MALFORMED),
    "extension after space": (C + b"3 ;a\r\nabc\r\n", MALFORMED),
    "extension with open quotes": (C + b'3;a="b\r\nabc\r\n', MALFORMED),
    "extension too long": (C + b"3;a=" + b"b" * 4096 + b"\r\nabc\r\n", MALFORMED),
    "extension too long, without an end": (C + b"3;a=" + b"b" * 5000, MALFORMED),
    "extensions too long together": (C + (b"1;a=" + b"b" * 2000 + b"\r\na\r\n") * 3, MALFORMED),
    "chunk longer than its size": (C + b"3\r\nabcd\r\n", MALFORMED),
    "chunk ends in LF": (C + b"3\r\nabc\n0\r\n\r\n", MALFORMED),
    "chunk ends in CR": (C + b"3\r\nabc\r0\r\n\r\n", MALFORMED),
    # -- trailers
    "trailer Content-Length": (C + b"0\r\nContent-Length: 3\r\n\r\n", MALFORMED),
    "trailer Transfer-Encoding": (C + b"0\r\ntransfer-encoding: chunked\r\n\r\n", MALFORMED),
    "trailer Host": (C + b"0\r\nHost: y\r\n\r\n", MALFORMED),
    "trailer Connection": (C + b"0\r\nConnection: close\r\n\r\n", MALFORMED),
    "trailer Upgrade": (C + b"0\r\nUpgrade: websocket\r\n\r\n", MALFORMED),
    "trailer Authorization": (C + b"0\r\nAuthorization: a\r\n\r\n", MALFORMED),
    "trailer X-Forwarded-For": (C + b"0\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n", MALFORMED),
    "trailer folded": (C + b"0\r\nA: b\r\n c\r\n\r\n", MALFORMED),
    "trailer with space before colon": (C + b"0\r\nA : b\r\n\r\n", MALFORMED),
    "trailer without colon": (C + b"0\r\nGET / HTTP/1.1\r\n\r\n", MALFORMED),
    "trailer ends in LF": (C + b"0\r\nA: b\n\r\n", MALFORMED),
    "trailers end in LF": (C + b"0\r\nA: b\r\n\n", MALFORMED),
    "trailers end in LF at once": (C + b"0\r\n\n", MALFORMED),
    "trailer with bare CR": (C + b"0\r\nA: b\rc\r\n\r\n", MALFORMED),
    "trailer with NUL": (C + b"0\r\nA: \x00\r\n\r\n", MALFORMED),
    "trailer section too large": (C + b"0\r\nA: " + b"b" * 8192 + b"\r\n\r\n", TOO_LARGE),
    "trailers too many": (C + b"0\r\n" + b"A: b\r\n" * 101 + b"\r\n", TOO_LARGE),
    # -- limits
    "head too large": (G + b"A: " + b"b" * 65536 + b"\r\n" + END, TOO_LARGE),
    "head too large, without an end": (G + b"A: " + b"b" * 65536, TOO_LARGE),
    "target too large": (b"GET /" + b"a" * 65536, TOO_LARGE),
    "too many fields": (G + b"A: b\r\n" * 100 + END, TOO_LARGE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_our_own_rules(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("httptools.HttpRequestParser", NaiveFieldParser)
    data, code = REFUSED[name]
    assert read_requests([data])[-1] == code


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("eof", [False, True])
def test_refused_whole(name: str, eof: bool) -> None:
    data, code = REFUSED[name]
    assert read_requests([data], eof=eof)[-1] == code


@pytest.mark.parametrize("name", REFUSED)
def test_refused_byte_by_byte(name: str) -> None:
    data, code = REFUSED[name]
    assert read_requests([bytes([byte]) for byte in data], eof=False)[-1] == code


@pytest.mark.parametrize("name", [name for name in REFUSED if REFUSED[name][0].find(C) < 0])
def test_nothing_of_a_refused_head_is_let_through(name: str) -> None:
    assert read_requests([REFUSED[name][0]]) == [REFUSED[name][1]]


ACCEPTED = {
    "1.1": (G + END, NO_BODY),
    "1.0": (b"GET / HTTP/1.0\r\n" + END, NO_BODY),
    "an empty line before": (b"\r\n" + G + END, NO_BODY),
    "any method": (b"M-SEARCH_2 / HTTP/1.1\r\nHost: x\r\n" + END, NO_BODY),
    "OPTIONS asterisk": (b"OPTIONS * HTTP/1.1\r\nHost: x\r\n" + END, NO_BODY),
    "absolute": (b"GET hTTp://X/a?b HTTP/1.1\r\nHost: x\r\n" + END, NO_BODY),
    "absolute without path": (b"GET https://x:8?b HTTP/1.1\r\nHost: x:8\r\n" + END, NO_BODY),
    "absolute in 1.0 without Host": (b"GET http://x/ HTTP/1.0\r\n" + END, NO_BODY),
    "IPv6": (b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n" + END, NO_BODY),
    "odd target": (b'GET //a/../%00|"{}\\ HTTP/1.1\r\nHost: x\r\n' + END, NO_BODY),
    "length": (P + b"Content-Length: 0\r\n" + END, ContentLength(0)),
    "length between white space": (P + b"Content-Length: \t 0 \t\r\n" + END, ContentLength(0)),
    "length of 18 zeros": (P + b"Content-Length: 000000000000000000\r\n" + END, ContentLength(0)),
    "chunked": (C + b"0\r\n\r\n", CHUNKED),
    "chunked in any case": (P + b"transfer-encoding:CHUNKED \r\n" + END + b"0\r\n\r\n", CHUNKED),
    "100 fields": (G + b"A: b\r\n" * 99 + END, NO_BODY),
    "empty value": (G + b"A:\r\nB: \r\n" + END, NO_BODY),
    "obs-text": (G + b"A: \xe4\xf6 b\r\n" + END, NO_BODY),
    "Connection list": (G + b"Connection: , a ,\tb,, c\r\nConnection:\r\n" + END, NO_BODY),
    "h2c is an ordinary request": (G + b"Connection: Upgrade\r\nUpgrade: h2c\r\n" + END, NO_BODY),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    data, framing = ACCEPTED[name]
    whole = read_requests([data])
    assert isinstance(whole[0], RequestHead)
    assert whole[0].framing == framing
    assert whole[1:] == [EndOfMessage()]
    assert read_requests([bytes([byte]) for byte in data]) == whole


def test_chunks_extensions_and_trailers() -> None:
    data = C + b'3;a;b=c;d="e;\\" f"\r\nabc\r\n00A;x\r\n0123456789\r\n000;last\r\nA: b \r\nC:\r\n\r\nrest'
    events = read_requests([data], eof=False)
    assert events[1] == BodyData(b"abc0123456789")
    assert isinstance(events[2], EndOfMessage)
    assert events[2].trailers.lines == ((b"A", b"b"), (b"C", b""))
    assert len(events) == 3


def test_head_at_the_limit_and_one_over() -> None:
    head = G + b"A: " + b"b" * 100 + b"\r\n" + END
    assert len(read_requests([head], HttpLimits(head_bytes=len(head)))) == 2
    assert read_requests([head], HttpLimits(head_bytes=len(head) - 1)) == [TOO_LARGE]


def test_trailers_at_the_limit_and_one_over() -> None:
    section = b"A: b\r\nC: d\r\n\r\n"
    assert isinstance(read_requests([C, b"0\r\n" + section], HttpLimits(trailer_bytes=len(section)))[-1], EndOfMessage)
    assert read_requests([C, b"0\r\n" + section], HttpLimits(trailer_bytes=len(section) - 1))[-1] == TOO_LARGE


def test_extensions_at_the_limit_and_one_over() -> None:
    body = b"1;a=b\r\nx\r\n1;c\r\ny\r\n0\r\n\r\n"
    assert isinstance(read_requests([C + body], HttpLimits(chunk_extension_bytes=6))[-1], EndOfMessage)
    assert read_requests([C + body], HttpLimits(chunk_extension_bytes=5))[-1] == MALFORMED
