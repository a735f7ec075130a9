"""The health listener (``--listen-addr-healthcheck``): 200 while the proxy serves, 503 once it drains.

Every path and method is answered alike, as the Go program does. Nothing about attestation is told here.
"""

from twisted.web.http import Request
from twisted.web.resource import Resource
from twisted.web.server import Site


class HealthResource(Resource):
    """Answers with the state; ``draining`` is set once, when the shutdown begins."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.draining = False

    def render(self, request: Request) -> bytes:
        """Return a short text with the status that says the same."""
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        request.setHeader(b"cache-control", b"no-store")
        request.setResponseCode(503 if self.draining else 200)
        body = b"draining\n" if self.draining else b"ok\n"
        request.setHeader(b"content-length", b"%d" % len(body))
        return b"" if request.method == b"HEAD" else body


class HealthSite(Site):
    """The factory of the health listener. A check every few seconds is noise: nothing is logged."""

    noisy = False
    displayTracebacks = False

    def __init__(self, resource: HealthResource) -> None:
        super().__init__(resource, timeout=10)

    def log(self, request: Request) -> None:
        """Keep no access log."""
