"""Values of options and places on the network: any text gives a value, or the one error in one line."""

from collections.abc import Callable
from math import isfinite

from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.daemon.measurements_source import measurements_location
from cvmproxy.daemon.option_values import boolean, count, seconds, seconds_or_none_at_all, size_from
from cvmproxy.errors import ConfigurationError
from cvmproxy.platform.remote_provider import provider_url

VALUES = st.text(max_size=12) | st.from_regex(r"[0-9.]{1,8}(ms|s|m|h|KiB|MiB|K)?", fullmatch=True)
URLS = st.text(max_size=20) | st.from_regex(
    r"((https?|HTTPS|ftp|unix):)?//?[a-z\[\]:%@.0-9é ]{0,12}(/[a-z?&=#\\ ]{0,6})?", fullmatch=True
)


def outcome(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except (ValueError, ConfigurationError) as error:
        return error


@settings(max_examples=200, deadline=None)
@given(read=st.sampled_from([seconds, seconds_or_none_at_all, count, size_from(1024), boolean]), text=VALUES)
def test_a_value_is_a_finite_number_or_says_what_was_expected(read: Callable[[str], float], text: str) -> None:
    value = outcome(read, text)
    assert not isinstance(value, UnicodeError)
    if isinstance(value, ValueError):
        assert str(value).isprintable()
    else:
        assert isinstance(value, int | float)
        assert isfinite(value)
        assert value >= 0


@settings(max_examples=200, deadline=None)
@given(read=st.sampled_from([measurements_location, provider_url]), text=URLS)
def test_a_place_is_one_or_the_error_says_so(read: Callable[[str], object], text: str) -> None:
    place = outcome(read, text)
    assert not isinstance(place, ValueError)
    if isinstance(place, ConfigurationError):
        assert "\n" not in place.message
    else:
        assert "://" not in text or str(place).rstrip("/") == text.rstrip("/")
