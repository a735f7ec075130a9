"""From parsed options to a running service: the steps that ``twistd``, ``twist`` and ``cvmproxy`` share.

What is wrong with the configuration ends the process here, with one line and status 2, before anything listens.
"""

import atexit
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.logger import globalLogBeginner

from cvmproxy.daemon.event_log import EventLog
from cvmproxy.daemon.launcher import open_log
from cvmproxy.daemon.name_resolver import SharedNameResolver
from cvmproxy.daemon.options import CommandOptions, end_with_usage_error
from cvmproxy.daemon.proxy_service import ProxyParts, ProxyService
from cvmproxy.daemon.signals import hold_reloads
from cvmproxy.errors import ConfigurationError

CommandT = TypeVar("CommandT", bound=CommandOptions)


def make_service(
    options: CommandT, reactor: Any, compose: Callable[[CommandT, Any, EventLog], ProxyParts]
) -> ProxyService:
    """Return the service of a command, ready to start; ends the process where the configuration is refused.

    :param compose: options, reactor and log → the parts of the proxy.
    """
    hold_reloads()
    reactor.installNameResolver(SharedNameResolver(reactor))
    try:
        opened = open_log(
            options.parent, program=options.program, as_json=options["log-json"], debug=options["log-debug"]
        )
        parts = compose(options, reactor, opened.log)
    except ConfigurationError as error:
        end_with_usage_error(options.program, error)
    atexit.register(opened.log.close)
    return ProxyService(reactor, opened, parts)


def run_in_foreground(service: ProxyService, reactor: Any) -> int:
    """Run a service as the whole program, without a launcher of Twisted's; return the exit status."""
    globalLogBeginner.beginLoggingTo([service.opened_log.log])
    service.privilegedStartService()
    service.startService()
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()
    return service.exit_status
