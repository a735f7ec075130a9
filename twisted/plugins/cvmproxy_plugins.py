"""What ``twistd`` and ``twist`` find: ``cvmproxy-server`` and ``cvmproxy-client``."""

from twisted.application.service import ServiceMaker

cvmproxy_server = ServiceMaker(
    "cvmproxy server",
    "cvmproxy.daemon.server",
    "Reverse proxy that presents attestation evidence inside TLS, in front of a web server in a confidential VM.",
    "cvmproxy-server",
)

cvmproxy_client = ServiceMaker(
    "cvmproxy client",
    "cvmproxy.daemon.client",
    "Proxy that appraises the server's attestation evidence inside TLS before it lets a request through.",
    "cvmproxy-client",
)
