from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.tools.simulator import read_report_data

DIGITS = "0123456789abcdefABCDEF"
TEXTS = st.text(max_size=130) | st.text(DIGITS + " \t\n\x0b\x0c\r", min_size=62, max_size=66)


@settings(max_examples=200, deadline=None)
@given(text=TEXTS)
def test_any_text_is_report_data_or_none(text: str) -> None:
    report_data = read_report_data(text)
    assert (report_data is not None) == (len(text) in (64, 128) and set(text) <= set(DIGITS))


@settings(max_examples=100, deadline=None)
@given(report_data=st.binary(min_size=32, max_size=32) | st.binary(min_size=64, max_size=64))
def test_report_data_is_read_as_it_was_written(report_data: bytes) -> None:
    assert read_report_data(report_data.hex()) == report_data.ljust(64, b"\0")
    assert read_report_data(report_data.hex().upper()) == report_data.ljust(64, b"\0")


def test_blanks_are_no_digits() -> None:
    assert read_report_data("ab" * 31 + "\t\t") is None
    assert read_report_data("ab" * 32 + "\n") is None
