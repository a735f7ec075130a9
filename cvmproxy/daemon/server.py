"""The ``cvmproxy-server`` plugin: what ``twistd`` and ``twist`` ask of it."""

from cvmproxy.daemon.composition import compose_server
from cvmproxy.daemon.options import ServerOptions as Options
from cvmproxy.daemon.proxy_service import ProxyService
from cvmproxy.daemon.start import make_service

__all__ = ["Options", "makeService"]


def makeService(options: Options) -> ProxyService:
    """Return the service. An ``IServiceMaker`` is given no reactor, so this entry point takes the installed one."""
    from twisted.internet import reactor

    return make_service(options, reactor, compose_server)
