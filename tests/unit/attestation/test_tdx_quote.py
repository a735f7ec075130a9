"""Quotes: what was parsed is written back byte for byte, and every size is accounted for."""

import pytest
from attrs import evolve
from doubles.requirements import require_vectors
from doubles.tdx_scenarios import Scenario
from doubles.tdx_vectors import TDX_QUOTES

from cvmproxy.attestation.tdx_quote import MAX_QUOTE_SIZE, Quote, parse_quote
from cvmproxy.attestation.tdx_report import BodyType, ExtendedBody, ServiceTdBinding
from cvmproxy.errors import EvidenceError

TD_1_5 = ServiceTdBinding(tee_tcb_svn2=b"2" * 16, mr_service_td=b"s" * 48)
EXTENDED = ExtendedBody(
    vm_id=b"\x02",
    td_id=b"i" * 32,
    device_info=b"d" * 48,
    initial_service_td_hash=b"h" * 48,
    initial_service_td_attributes=b"a" * 8,
    initial_cpu_svn=b"c" * 16,
    initial_tee_tcb_svn=b"t" * 16,
    initial_tee_fmspc=b"f" * 12,
    current_service_td_hash=b"H" * 48,
    current_service_td_attributes=b"A" * 8,
)


def honest() -> Quote:
    return parse_quote(Scenario().finish().quote)


@pytest.mark.parametrize("name", TDX_QUOTES)
def test_a_real_quote_survives_the_round_trip(name: str) -> None:
    data = (require_vectors() / name).read_bytes()
    assert parse_quote(data).serialise() == data


@pytest.mark.parametrize(
    ("name", "body_type", "trailing"),
    [
        ("qvl07__tdx_quote", BodyType.TD_1_0, 70),
        ("qvl07__tdx_quote_outdated", BodyType.TD_1_5, 0),
        ("qvl07__tdx_quote_td15ex", BodyType.TD_1_5_EXTENDED, 0),
        ("go-tdx-guest__tdx_prod_quote_SPR_E4.dat", BodyType.TD_1_0, 39),
    ],
)
def test_body_type_and_trailing_bytes_of_real_quotes(name: str, body_type: BodyType, trailing: int) -> None:
    quote = parse_quote((require_vectors() / name).read_bytes())
    assert (quote.report.body_type, len(quote.trailing)) == (body_type, trailing)


@pytest.mark.parametrize(
    ("version", "td_1_5", "extended", "size"),
    [
        (4, None, None, 48 + 584),
        (5, None, None, 54 + 584),
        (5, TD_1_5, None, 54 + 648),
        (5, TD_1_5, EXTENDED, 54 + 885),
    ],
)
def test_every_body_survives_the_round_trip(
    version: int, td_1_5: ServiceTdBinding | None, extended: ExtendedBody | None, size: int
) -> None:
    report = evolve(honest().report, td_1_5=td_1_5, extended=extended)
    quote = evolve(honest(), version=version, report=report, trailing=b"after")
    assert len(quote.signed_part) == size
    assert parse_quote(quote.serialise()) == quote


def test_fields_of_an_extended_body_stand_where_intel_puts_them() -> None:
    report = evolve(honest().report, td_1_5=TD_1_5, extended=EXTENDED)
    body = evolve(honest(), version=5, report=report).signed_part[54:]
    assert body[648:649] == b"\x02"
    assert body[649:681] == b"i" * 32
    assert body[829:877] == b"H" * 48


def test_fields_stand_where_the_specification_puts_them() -> None:
    data = bytearray(Scenario().finish().quote)
    for number, (offset, size) in enumerate(
        ((0, 16), (16, 48), (64, 48), (112, 8), (120, 8), (128, 8), (136, 48), (184, 48), (232, 48), (280, 48)), start=1
    ):
        data[48 + offset : 48 + offset + size] = bytes((number,)) * size
    report = parse_quote(bytes(data)).report
    found = (
        report.tee_tcb_svn,
        report.mr_seam,
        report.mr_signer_seam,
        report.seam_attributes,
        report.td_attributes,
        report.xfam,
        report.mr_td,
        report.mr_config_id,
        report.mr_owner,
        report.mr_owner_config,
    )
    assert [value[0] for value in found] == list(range(1, 11))
    assert report.rtmrs[3] == bytes(data[48 + 472 : 48 + 520])
    assert report.report_data == bytes(data[48 + 520 : 48 + 584])


def test_every_cut_is_refused_with_one_code() -> None:
    data = Scenario().finish().quote
    codes = set()
    for size in range(len(data)):
        with pytest.raises(EvidenceError) as caught:
            parse_quote(data[:size])
        codes.add(caught.value.code)
    assert codes == {"evidence-malformed"}


def test_the_bound_on_size_counts_trailing_bytes() -> None:
    data = Scenario().finish().quote
    largest = data + bytes(MAX_QUOTE_SIZE - len(data))
    assert len(parse_quote(largest).trailing) == MAX_QUOTE_SIZE - len(data)
    with pytest.raises(EvidenceError, match="evidence-malformed"):
        parse_quote(largest + b"\0")


@pytest.mark.parametrize(
    ("offset", "value", "code"),
    [
        (48, b"\x01\x00", "evidence-unsupported"),
        (50, (583).to_bytes(4, "little"), "evidence-malformed"),
        (54 + 584, bytes(4), "evidence-malformed"),
        (54 + 584 + 4 + 128, b"\x05\x00", "evidence-unsupported"),
        (54 + 584 + 4 + 130, bytes(4), "evidence-malformed"),
        (54 + 584 + 4 + 134 + 448 + 2 + 32, b"\x03\x00", "evidence-unsupported"),
        (54 + 584 + 4 + 134 + 448 + 2 + 34, b"\x01", "evidence-malformed"),
    ],
    ids=["body-type", "body-size", "signature-size", "certification-type", "certification-size", "chain-type",
         "chain-size"],
)  # fmt: skip
def test_a_wrong_type_or_size_is_refused(offset: int, value: bytes, code: str) -> None:
    data = bytearray(Scenario(version=5).finish().quote)
    data[offset : offset + len(value)] = value
    with pytest.raises(EvidenceError) as caught:
        parse_quote(bytes(data))
    assert caught.value.code == code
