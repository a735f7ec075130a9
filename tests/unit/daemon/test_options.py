import re

import pytest

from cvmproxy.daemon.option_table import CLIENT_OPTIONS, SERVER_OPTIONS, Option
from cvmproxy.daemon.options import ClientOptions, CommandOptions, ServerOptions
from cvmproxy.errors import ConfigurationError


def server(*arguments: str, **environment: str) -> ServerOptions:
    options = ServerOptions(environment)
    options.read(arguments)
    return options


def client(*arguments: str, **environment: str) -> ClientOptions:
    options = ClientOptions(environment)
    options.read(arguments)
    return options


def refusal(command: type[CommandOptions], *arguments: str, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as caught:
        command(environment).read(arguments)
    assert caught.value.code == "bad-option"
    assert caught.value.message.isprintable()
    return caught.value.message


@pytest.mark.parametrize("command", [ServerOptions, ClientOptions])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("listen-addr", "127.0.0.1:8080"),
        ("target-addr", "https://localhost:80"),
        ("server-attestation-type", "azure-tdx"),
        ("client-attestation-type", "none"),
        ("log-json", False),
        ("log-debug", False),
        ("log-dcap-quote", False),
        ("listen-addr-healthcheck", None),
        ("dev-dummy-dcap", None),
        ("override-azurev6-tcbinfo", False),
        ("mode", "http"),
        ("simulated-platform", None),
        ("handshake-timeout", 30.0),
        ("drain-grace", 30.0),
        ("request-head-size", 65536),
    ],
)
def test_defaults_of_both(command: type[CommandOptions], name: str, value: object) -> None:
    options = command({})
    options.read([])
    assert options[name] == value
    assert type(options[name]) is type(value)
    assert not options.is_named(name)


def test_defaults_of_each() -> None:
    assert [server()[name] for name in ("tls-certificate-path", "tls-private-key-path", "client-measurements")] == [
        None,
        None,
        None,
    ]
    assert [client()[name] for name in ("server-measurements", "verify-tls", "tls-ca-certificate")] == [
        None,
        False,
        None,
    ]


GO_PROGRAM = {
    "listen-addr": "LISTEN_ADDR",
    "target-addr": "TARGET_ADDR",
    "server-attestation-type": "SERVER_ATTESTATION_TYPE",
    "client-attestation-type": "CLIENT_ATTESTATION_TYPE",
    "tls-certificate-path": "TLS_CERTIFICATE_PATH",
    "tls-private-key-path": "TLS_PRIVATE_KEY_PATH",
    "client-measurements": "CLIENT_MEASUREMENTS",
    "server-measurements": "SERVER_MEASUREMENTS",
    "verify-tls": "VERIFY_TLS",
    "tls-ca-certificate": "TLS_CA_CERTIFICATE",
    "log-json": "LOG_JSON",
    "log-debug": "LOG_DEBUG",
    "log-dcap-quote": "LOG_DCAP_QUOTE",
    "listen-addr-healthcheck": "LISTEN_ADDR_HEALTHCHECK",
    "dev-dummy-dcap": "DEV_DUMMY_DCAP",
    "override-azurev6-tcbinfo": "OVERRIDE_AZUREV6_TCBINFO",
}


def test_options_of_the_go_program_have_its_variables_and_ours_a_prefix() -> None:
    every = {option.name: option.variable for option in (*SERVER_OPTIONS, *CLIENT_OPTIONS)}
    assert {name: variable for name, variable in every.items() if not variable.startswith("CVMPROXY_")} == GO_PROGRAM
    assert every["target-ca"] == "CVMPROXY_TARGET_CA"


@pytest.mark.parametrize("table", [SERVER_OPTIONS, CLIENT_OPTIONS])
def test_names_and_variables_are_unique(table: tuple[Option, ...]) -> None:
    assert len({option.name for option in table}) == len({option.variable for option in table}) == len(table)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--listen-addr", ":1"),
        ("--listen-addr=:1",),
        ("-listen-addr", ":1"),
        ("-listen-addr=:1",),
        ("--listen-addr", ":2", "--listen-addr", ":1"),
    ],
)
def test_spellings_of_an_option(arguments: tuple[str, ...]) -> None:
    options = server(*arguments)
    assert options["listen-addr"] == ":1"
    assert options.is_named("listen-addr")
    assert options.spelling("listen-addr") == "--listen-addr"


def test_a_variable_stands_in_for_its_option() -> None:
    options = server(LISTEN_ADDR=":1", CVMPROXY_HANDSHAKE_TIMEOUT="500ms")
    assert options["listen-addr"] == ":1"
    assert options["handshake-timeout"] == 0.5
    assert options.is_named("listen-addr")
    assert options.spelling("listen-addr") == "LISTEN_ADDR"


def test_an_option_wins_over_its_variable() -> None:
    options = client("--listen-addr", ":1", "--verify-tls=false", LISTEN_ADDR=":2", VERIFY_TLS="1")
    assert options["listen-addr"] == ":1"
    assert options["verify-tls"] is False
    assert options.is_named("verify-tls")


def test_a_bad_variable_is_passed_over_where_the_option_is_given() -> None:
    assert server("--handshake-timeout", "1s", CVMPROXY_HANDSHAKE_TIMEOUT="soon")["handshake-timeout"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "environment", "value"),
    [
        (("--verify-tls",), {}, True),
        (("-verify-tls",), {}, True),
        (("--verify-tls=true",), {}, True),
        (("--verify-tls=false",), {}, False),
        ((), {"VERIFY_TLS": "1"}, True),
        ((), {"VERIFY_TLS": "true"}, True),
        ((), {"VERIFY_TLS": "TRUE"}, True),
        ((), {"VERIFY_TLS": "0"}, False),
        ((), {"VERIFY_TLS": "false"}, False),
        ((), {"VERIFY_TLS": ""}, False),
    ],
)
def test_booleans(arguments: tuple[str, ...], environment: dict[str, str], value: bool) -> None:
    assert client(*arguments, **environment)["verify-tls"] is value


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("idle-timeout", "90", 90.0),
        ("idle-timeout", "1.5s", 1.5),
        ("idle-timeout", "2m", 120.0),
        ("idle-timeout", "1h", 3600.0),
        ("drain-grace", "0", 0.0),
        ("request-head-size", "2048", 2048),
        ("request-head-size", "1MiB", 1048576),
        ("header-count", "7", 7),
    ],
)
def test_values_with_units(name: str, text: str, value: object) -> None:
    assert server(f"--{name}", text)[name] == value


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--listen",), "unknown option --listen: options are not abbreviated, write --listen-addr or"),
        (("--verify",), "unknown option --verify: see --help"),
        (("--listn-addr", "x"), "unknown option --listn-addr: did you mean --listen-addr?"),
        (("--wholly-unknown=5",), "unknown option --wholly-unknown: see --help"),
        (("--verify-tls",), "unknown option --verify-tls: it belongs to cvmproxy-client"),
        (("---listen-addr", "x"), "unknown option ---listen-addr"),
        (("-l", "x"), "unknown option -l"),
        (("--\x1b[31m",), r"unknown option --\x1b[31m"),
        (("--listen-addr",), "--listen-addr needs a value: --listen-addr ADDRESS"),
        (("--listen-addr", "--log-json"), "--listen-addr needs a value"),
        (("--listen-addr=",), "--listen-addr is set but empty"),
        (("--listen-addr", ""), "--listen-addr is set but empty"),
        (("--client-measurements=",), "--client-measurements is set but empty: leave it away, or give it a value"),
        (("--log-json=maybe",), "--log-json 'maybe': expected true or false"),
        (("--log-json=",), "--log-json= is empty: write --log-json, or --log-json=false"),
        (("--log-json", "false"), "unexpected argument 'false': write --log-json=false"),
        (("serve",), "unexpected argument 'serve': cvmproxy-server takes options only"),
        (("--", "--log-json"), "unexpected argument '--'"),
        (("--handshake-timeout", "0"), "--handshake-timeout '0': expected a duration above zero"),
        (("--handshake-timeout", "nan"), "expected a duration as 30s"),
        (("--listen-addr", "-log-json"), "--listen-addr needs a value"),
        (("--handshake-timeout=-1",), "expected a duration as 30s"),
        (("--handshake-timeout", "999999h"), "expected a duration of at most 30 days"),
        (("--request-head-size", "10"), "expected a size of at least 1024 bytes"),
        (("--request-head-size", "1GB"), "expected a size"),
        (("--header-count", "0"), "expected a whole number from 1"),
        (("--header-count", "٣"), "expected a whole number from 1"),
        (("--target-addr", "http://a\nb"), "expected text without control characters"),
    ],
)
def test_bad_usage_names_the_option_and_the_fix(arguments: tuple[str, ...], expected: str) -> None:
    assert expected in refusal(ServerOptions, *arguments)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"CLIENT_MEASUREMENTS": ""}, "CLIENT_MEASUREMENTS is set but empty: unset it, or give it a value"),
        ({"CLIENT_ATTESTATION_TYPE": ""}, "CLIENT_ATTESTATION_TYPE is set but empty"),
        ({"LOG_JSON": "yes"}, "LOG_JSON 'yes': expected true or false"),
        ({"CVMPROXY_IDLE_TIMEOUT": "soon"}, "CVMPROXY_IDLE_TIMEOUT 'soon': expected a duration"),
    ],
)
def test_bad_variables_are_named(environment: dict[str, str], expected: str) -> None:
    assert expected in refusal(ServerOptions, **environment)


def test_empty_variables_that_mean_off() -> None:
    options = server(LISTEN_ADDR_HEALTHCHECK="", DEV_DUMMY_DCAP="", LOG_JSON="")
    assert (options["listen-addr-healthcheck"], options["dev-dummy-dcap"], options["log-json"]) == (None, None, False)


def test_a_compose_file_may_leave_certificate_and_key_empty() -> None:
    options = server(TLS_CERTIFICATE_PATH="", TLS_PRIVATE_KEY_PATH="")
    for name in ("tls-certificate-path", "tls-private-key-path"):
        assert (options[name], options.is_named(name)) == (None, False)


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        (ServerOptions, "CLIENT_MEASUREMENTS"),
        (ClientOptions, "SERVER_MEASUREMENTS"),
        (ServerOptions, "CLIENT_ATTESTATION_TYPE"),
        (ClientOptions, "SERVER_ATTESTATION_TYPE"),
        (ClientOptions, "TLS_CA_CERTIFICATE"),
        (ServerOptions, "CVMPROXY_TARGET_CA"),
    ],
)
def test_what_decides_whom_to_trust_is_never_empty(command: type[CommandOptions], variable: str) -> None:
    assert f"{variable} is set but empty" in refusal(command, **{variable: ""})


def test_a_long_value_is_refused_and_shown_in_part() -> None:
    message = refusal(ServerOptions, f"--target-addr={'x' * 5000}")
    assert "expected at most 4096 characters" in message
    assert len(message) < 250
    options = server("--server-attestation-type", "x" * 4000)
    assert len(options.refused("server-attestation-type", "why").message) < 300


def test_variables_of_others_are_no_concern() -> None:
    assert server(VERIFY_TLS="perhaps", PATH="/bin")["log-json"] is False


def test_bad_usage_ends_with_status_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ServerOptions({}).parseOptions(["--nonsense"])
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "cvmproxy-server: unknown option --nonsense: see --help for those that cvmproxy-server has\n"


@pytest.mark.parametrize("command", [ServerOptions, ClientOptions])
@pytest.mark.parametrize("argument", ["--help", "-help", "-h"])
def test_help_shows_every_option_with_default_and_variable(
    command: type[CommandOptions], argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command({"LOG_JSON": "nonsense"}).parseOptions([argument])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    flowing = re.sub(r"\s+", " ", shown)
    for option in command.table:
        assert f" --{option.name} " in flowing
        assert f"[{option.variable}]" in flowing
        assert option.meaning in flowing
        assert f"[default: {option.default_shown}]" in flowing
    assert max(map(len, shown.splitlines())) <= 100


def test_version_ends_with_status_0(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        ServerOptions({}).parseOptions(["--version"])
    assert ended.value.code == 0
    assert re.fullmatch(r"cvmproxy \S+\n", capsys.readouterr().out)
