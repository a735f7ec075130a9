from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st

from cvmproxy.daemon.addresses import Origin, client_target, listen_address, origin, server_target
from cvmproxy.daemon.option_table import CLIENT_OPTIONS, SERVER_OPTIONS
from cvmproxy.daemon.options import ClientOptions, CommandOptions, ServerOptions
from cvmproxy.errors import ConfigurationError

NAMES = [option.name for option in (*SERVER_OPTIONS, *CLIENT_OPTIONS)]
VARIABLES = [option.variable for option in (*SERVER_OPTIONS, *CLIENT_OPTIONS)]
VALUES = st.text(max_size=8) | st.sampled_from(["", "true", "false", "0", "1", "5s", "64KiB", "none", "auto", ":1"])
DASHES = st.sampled_from(["--", "-"])
ARGUMENTS = st.lists(
    st.builds("{}{}".format, DASHES, st.sampled_from(NAMES))
    | st.builds("{}{}={}".format, DASHES, st.sampled_from(NAMES), VALUES)
    | VALUES,
    max_size=5,
)
ENVIRONMENTS = st.dictionaries(st.sampled_from(VARIABLES), VALUES, max_size=3)


def outcome(command: type[CommandOptions], arguments: list[str], environment: dict[str, str]) -> object:
    options = command(environment)
    try:
        options.read(arguments)
    except ConfigurationError as error:
        return error
    return options


@settings(max_examples=200, deadline=None)
@given(command=st.sampled_from([ServerOptions, ClientOptions]), arguments=ARGUMENTS, environment=ENVIRONMENTS)
def test_any_usage_gives_every_value_or_one_line(
    command: type[CommandOptions], arguments: list[str], environment: dict[str, str]
) -> None:
    options = outcome(command, arguments, environment)
    if isinstance(options, ConfigurationError):
        assert options.code == "bad-option"
        assert options.message.isprintable()
        return
    assert isinstance(options, CommandOptions)
    assert set(options) == {option.name for option in command.table}


ADDRESSES = (
    st.text(max_size=20)
    | st.builds("{}{}".format, st.sampled_from(["http://", "https://", "HTTP://", "unix:", "tcp://", "[", ":"]), VALUES)
    | st.from_regex(r"https?://[a-z\[\]:%@.0-9]{1,12}(/[a-z?&=#]{0,6})?", fullmatch=True)
)


def address_or_fix(read: Callable[[str], object], text: str) -> object:
    try:
        return read(text)
    except ValueError as fix:
        return fix


@settings(max_examples=200, deadline=None)
@given(read=st.sampled_from([listen_address, origin, server_target, client_target]), text=ADDRESSES)
def test_any_text_is_an_address_or_gives_the_fix(read: Callable[[str], object], text: str) -> None:
    address = address_or_fix(read, text)
    assert str(address).isprintable()
    assert not isinstance(address, UnicodeError)
    if not isinstance(address, ValueError):
        assert read(str(address)) == address


@settings(max_examples=200, deadline=None)
@given(text=ADDRESSES)
def test_a_client_target_is_never_plaintext(text: str) -> None:
    target = address_or_fix(client_target, text)
    assert isinstance(target, ValueError) or (isinstance(target, Origin) and target.secure)
