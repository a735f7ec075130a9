"""How the program was started, and what that says about its log: ``twistd``, ``twist``, or ``cvmproxy`` itself.

Both of Twisted's launchers would format log lines in their own way. They are asked, each by the means it has, to use
our observer in place of theirs: ``twistd`` takes an ``ILogObserver`` component of the application, ``twist`` an
observer factory from its options. Where the lines go stays the launcher's decision (``--logfile``, ``--log-file``).
"""

import os
import sys
from collections.abc import Callable
from threading import Event as Flag
from typing import IO, Any

from attrs import field, frozen
from twisted.application.service import IService
from twisted.logger import ILogObserver
from twisted.python.components import Componentized
from twisted.python.logfile import LogFile
from twisted.python.usage import Options

from cvmproxy.daemon.event_log import EventLog
from cvmproxy.daemon.log_writer import Deliver, deliver_to_descriptor
from cvmproxy.errors import ConfigurationError


def _nothing() -> None:
    """There is no file to rotate."""


@frozen(kw_only=True)
class OpenedLog:
    """The log of this process, and how its launcher gets to know of it.

    :ivar rotate: starts a new log file at the next line (SIGUSR1, as twistd does); may run in a signal handler.
    """

    log: EventLog
    rotate: Callable[[], None] = field(default=_nothing)

    def attach(self, application: object) -> None:
        """Make ``twistd`` use this log for everything that Twisted logs. Other parents need nothing."""
        if isinstance(application, Componentized) and IService(application, None) is not None:
            application.setComponent(ILogObserver, self.log)


def open_log(launcher: Options | None, *, program: str, as_json: bool, debug: bool) -> OpenedLog:
    """Open the log where the launcher's options say.

    :param program: names the log file of a daemon that was given none, so that two programs never share one.
    :param launcher: the options of ``twistd`` or ``twist``; ``None`` where the program is its own launcher.
    :raises ConfigurationError: the launcher's options ask for something that cannot be done.
    """
    rotate = _nothing
    if launcher is None:
        deliver = _deliver_to(sys.stdout)
    elif "fileLogObserverFactory" in launcher:
        deliver = _deliver_to(launcher["logFile"])
    else:
        _require_place_for_pid_file(launcher)
        path = _twistd_log_file(launcher, program)
        if path is None:
            deliver = _deliver_to(sys.stdout)
        else:
            deliver, rotate = _log_file(path)
    log = EventLog(deliver, as_json=as_json, debug=debug)
    if launcher is not None and "fileLogObserverFactory" in launcher:
        launcher["fileLogObserverFactory"] = _factory_of(log)
    return OpenedLog(log=log, rotate=rotate)


def _deliver_to(stream: IO[str] | None) -> Deliver:
    """Return a way to write to the stream, or to nothing: standard output is ``None`` where it was closed at the start.

    Its number may be that of a connection by now.
    """
    return deliver_to_descriptor(os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno())


def _require_place_for_pid_file(launcher: Options) -> None:
    """Refuse what ``twistd`` would end with a traceback over. Nothing is created: an empty file would be in its way."""
    name = launcher.get("pidfile")
    if not name or launcher.get("chroot"):
        return
    path = os.path.join(launcher.get("rundir") or os.curdir, name)
    if not os.access(path if os.path.exists(path) else os.path.dirname(path) or os.curdir, os.W_OK):
        fix = "name another in front of the command, or none with --pidfile="
        raise ConfigurationError("bad-option", f"twistd's --pidfile {name!a} cannot be written: {fix}")


def _twistd_log_file(launcher: Options, program: str) -> str | None:
    """Return the path of the log file, ``None`` for standard output; the rules are twistd's, save for the name."""
    if launcher.get("syslog") or launcher.get("logger"):
        raise ConfigurationError(
            "bad-option", "twistd's --syslog and --logger cannot be used: cvmproxy writes its own log, see --logfile"
        )
    path = launcher.get("logfile")
    foreground = launcher.get("nodaemon") or launcher.get("debug")
    if path == "-" and not foreground:
        raise ConfigurationError("bad-option", "--logfile=- needs --nodaemon: a daemon has no standard output")
    if path == "-" or (foreground and not path):
        return None
    return path or f"{program}.log"


def _log_file(path: str) -> tuple[Deliver, Callable[[], None]]:
    try:
        file = LogFile.fromFullPath(os.path.abspath(path))
    except OSError as error:
        raise ConfigurationError("bad-option", f"--logfile: {path!r} cannot be opened: {error.strerror}") from error
    asked = Flag()

    def deliver(data: bytes) -> None:
        if asked.is_set():
            asked.clear()
            file.rotate()
        file.write(data)

    return deliver, asked.set


def _factory_of(log: EventLog) -> Callable[[Any], EventLog]:
    return lambda stream: log
