"""The command line and environment of the two commands, under ``twistd``, ``twist`` and the console script alike.

Follows the design page "Commands, options, environment". ``usage.Options`` is the interface that Twisted's launchers
demand, and all that is used of it: its parser accepts abbreviations, knows no environment, and ends with status 1.
Here an option given wins over its variable, booleans take ``--x``, ``--x=true`` and ``--x=false``, long names may have
one dash, and bad usage is one line and exit status 2, before anything listens.
"""

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from difflib import get_close_matches
from enum import Enum
from typing import ClassVar, Final, NoReturn

from twisted.python.usage import Options

import cvmproxy
from cvmproxy.daemon.option_table import CLIENT_OPTIONS, GROUPS, SERVER_OPTIONS, Option
from cvmproxy.errors import ConfigurationError

USAGE_STATUS: Final = 2
_TWISTD_PID_FILE: Final = "twistd.pid"
_WIDTH: Final = 100
_SHOWN: Final = 200
_COLUMN: Final = 4


class Source(Enum):
    """Where an option's value comes from."""

    OPTION = "option"
    VARIABLE = "variable"
    DEFAULT = "default"


class _EndedByHelpError(Exception):
    """Help or the version was asked for: its text is the argument."""


def end_with_usage_error(program: str, error: ConfigurationError) -> NoReturn:
    """Print one line on standard error and end with status 2."""
    # The status is what counts where nobody can be told: standard error closed, or on a full disk.
    with suppress(OSError):
        if sys.stderr is not None:
            sys.stderr.write(f"{program}: {error.message}\n")
    raise SystemExit(USAGE_STATUS)


def end_with_answer(answer: str) -> NoReturn:
    """Print what was asked for on standard output and end: with status 0, or 1 where it cannot be printed."""
    try:
        if sys.stdout is not None:
            print(answer, flush=True)
    except OSError:
        # What could not be written would be tried again, and complained of, when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    raise SystemExit(0)


class CommandOptions(Options):
    """The options of one command, read from arguments and environment.

    After :meth:`parseOptions` (or :meth:`read`) ``self[name]`` is the value of every option of the table.

    :cvar program: the command's name in messages.
    :cvar about: its first line of help.
    :cvar table: its options.
    :cvar elsewhere: options of the sibling command, which get a message of their own.
    """

    program: ClassVar[str]
    about: ClassVar[str]
    table: ClassVar[tuple[Option, ...]]
    elsewhere: ClassVar[Mapping[str, str]] = {}

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Twisted has no annotation there
        self.environment: Final = os.environ if environment is None else environment
        self.sources: Final[dict[str, Source]] = {}
        self._options: Final = {option.name: option for option in self.table}

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the arguments as a program does: help ends with status 0, bad usage with one line and status 2."""
        try:
            self.read(sys.argv[1:] if options is None else options)
        except _EndedByHelpError as ended:
            end_with_answer(str(ended))
        except ConfigurationError as error:
            end_with_usage_error(self.program, error)
        if self.parent is not None and self.parent.get("pidfile") == _TWISTD_PID_FILE:
            # A server and a client may run in one directory: twistd takes one pid file for one program.
            self.parent["pidfile"] = f"{self.program}.pid"

    def read(self, arguments: Sequence[str]) -> None:
        """Read arguments and environment.

        :raises ConfigurationError: ``bad-option``; the message names the option or variable and the fix.
        """
        given = self._given(arguments)
        for option in self.table:
            self[option.name], self.sources[option.name] = self._resolve(option, given.get(option.name))

    def is_named(self, name: str) -> bool:
        """Say whether the operator gave the option or its variable."""
        return self.sources[name] is not Source.DEFAULT

    def spelling(self, name: str) -> str:
        """Return what the operator has to look at: the option, or the variable where the value came from there."""
        option = self._options[name]
        return option.variable if self.sources.get(name) is Source.VARIABLE else f"--{name}"

    def refused(self, name: str, why: str, *, code: str = "bad-option") -> ConfigurationError:
        """Return the error about an option: its name and value as given, and why it is refused, with the fix."""
        value = self[name]
        shown = "" if self._options[name].is_boolean or value is None else f" {_shortened(str(value))}"
        suffix = " (the default)" if self.sources[name] is Source.DEFAULT else ""
        return ConfigurationError(code, f"{self.spelling(name)}{shown}{suffix}: {why}")

    @contextmanager
    def blamed(self, name: str) -> Iterator[None]:
        """Have an error that tells of a value name the option that gave it, too."""
        try:
            yield
        except ConfigurationError as error:
            raise ConfigurationError(error.code, f"{self.spelling(name)} {error.message}") from error

    def _given(self, arguments: Sequence[str]) -> dict[str, str]:
        """Return option name → text, the last of several; a boolean alone is ``true``."""
        given: dict[str, str] = {}
        rest = list(arguments)
        while rest:
            argument = rest.pop(0)
            if argument in ("--help", "-help", "-h"):
                raise _EndedByHelpError(self.getUsage())
            if argument in ("--version", "-version"):
                raise _EndedByHelpError(f"cvmproxy {cvmproxy.__version__}")
            if not argument.startswith("-") or argument in ("-", "--"):
                raise ConfigurationError("bad-option", self._unexpected(argument, given))
            name, equals, value = argument.lstrip("-").partition("=")
            option = self._options.get(name)
            if option is None or argument.startswith("---"):
                raise ConfigurationError("bad-option", self._unknown(argument.partition("=")[0], name))
            if not equals:
                value = "true" if option.is_boolean else self._next(option, rest)
            elif not value and option.is_boolean:
                raise ConfigurationError("bad-option", f"--{name}= is empty: write --{name}, or --{name}=false")
            given[name] = value
        return given

    @staticmethod
    def _next(option: Option, rest: list[str]) -> str:
        # An option whose value was forgotten must not swallow the next one.
        if not rest or rest[0].startswith("-"):
            fix = f"--{option.name} {option.metavar} (--{option.name}={option.metavar} where it begins with a dash)"
            raise ConfigurationError("bad-option", f"--{option.name} needs a value: {fix}")
        return rest.pop(0)

    def _resolve(self, option: Option, text: str | None) -> tuple[object, Source]:
        source, spelling = Source.OPTION, f"--{option.name}"
        if text is None and option.variable in self.environment:
            text, source, spelling = self.environment[option.variable], Source.VARIABLE, option.variable
        if text == "":
            if not (option.empty_is_off or option.is_boolean):
                fix = (
                    "unset it, or give it a value" if source is Source.VARIABLE else "leave it away, or give it a value"
                )
                raise ConfigurationError("bad-option", f"{spelling} is set but empty: {fix}")
            text = None
        if text is None:
            return option.read(option.default) if option.default else None, Source.DEFAULT
        try:
            return option.read(text), source
        except ValueError as expected:
            raise ConfigurationError("bad-option", f"{spelling} {text[:100]!a}: expected {expected}") from None

    def _unexpected(self, argument: str, given: dict[str, str]) -> str:
        last = next(reversed(given), None)
        if last is not None and self._options[last].is_boolean and argument.lower() in ("true", "false", "0", "1"):
            return f"unexpected argument {argument!a}: write --{last}={argument}"
        return f"unexpected argument {argument[:100]!a}: {self.program} takes options only, see --help"

    def _unknown(self, spelling: str, name: str) -> str:
        shown = ascii(spelling[:100])[1:-1]
        if name in self.elsewhere:
            return f"unknown option {shown}: it belongs to {self.elsewhere[name]}, see --help"
        meant = [known for known in self._options if name and known.startswith(name)]
        if meant:
            return f"unknown option {shown}: options are not abbreviated, write {' or '.join(f'--{m}' for m in meant)}"
        close = get_close_matches(name, self._options, n=1)
        if close:
            return f"unknown option {shown}: did you mean --{close[0]}? See --help"
        return f"unknown option {shown}: see --help for those that {self.program} has"

    def getSynopsis(self) -> str:
        """Return the help's first line."""
        return f"Usage: {self.program} [options]"

    def getUsage(self, width: int | None = None) -> str:
        """Return the whole help."""
        columns = width or _WIDTH
        intro = (
            f"{self.about} Every option has an environment variable; the option wins where both are given. "
            "Booleans are written --x, --x=true or --x=false."
        )
        parts = [self.getSynopsis(), "", *textwrap.wrap(intro, columns)]
        for group in GROUPS:
            parts += ["", f"{group}:"]
            for option in self.table:
                if option.group == group:
                    parts += _described(option, columns)
        return "\n".join(parts)

    def __str__(self) -> str:
        return self.getUsage()


def _shortened(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"


def _described(option: Option, columns: int) -> list[str]:
    indent = " " * (2 * _COLUMN)
    meaning = f"{option.meaning} [default: {option.default_shown}] [{option.variable}]"
    head = f"{' ' * _COLUMN}--{option.name} {option.metavar}".rstrip()
    return [head, *textwrap.wrap(meaning, columns, initial_indent=indent, subsequent_indent=indent)]


def _only_in(table: tuple[Option, ...], other: tuple[Option, ...], program: str) -> dict[str, str]:
    names = {option.name for option in other}
    return {option.name: program for option in table if option.name not in names}


class ServerOptions(CommandOptions):
    """The options of ``cvmproxy-server``."""

    program = "cvmproxy-server"
    about = "Accepts attested TLS and passes requests on to a plain target."
    table = SERVER_OPTIONS
    elsewhere = _only_in(CLIENT_OPTIONS, SERVER_OPTIONS, "cvmproxy-client")


class ClientOptions(CommandOptions):
    """The options of ``cvmproxy-client``."""

    program = "cvmproxy-client"
    about = "Accepts plain HTTP and passes requests on over attested TLS, to a server that it has verified."
    table = CLIENT_OPTIONS
    elsewhere = _only_in(SERVER_OPTIONS, CLIENT_OPTIONS, "cvmproxy-server")
