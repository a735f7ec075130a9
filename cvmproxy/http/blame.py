"""Who is to blame for bytes that are not acceptable HTTP: the requester, or the target.

The same decoders read requests and responses; this value is what makes their errors the one or the other.
"""

from typing import Final

from attrs import frozen

from cvmproxy.errors import BackendError, CvmproxyError, RequestError


@frozen(kw_only=True)
class Blame:
    """Makes the errors of one direction.

    :ivar error: the class of all of them.
    """

    error: type[CvmproxyError]
    malformed_code: str
    too_large_code: str
    version_code: str
    incomplete_code: str

    def malformed(self, message: str) -> CvmproxyError:
        """Return the error for bytes that break the syntax or the framing."""
        return self.error(self.malformed_code, message)

    def too_large(self, message: str) -> CvmproxyError:
        """Return the error for a head or trailer section over its limits."""
        return self.error(self.too_large_code, message)

    def version(self, message: str) -> CvmproxyError:
        """Return the error for a version of HTTP that is not 1.0 or 1.1."""
        return self.error(self.version_code, message)

    def incomplete(self, message: str) -> CvmproxyError:
        """Return the error for a message that the end of the connection cut off."""
        return self.error(self.incomplete_code, message)


REQUESTER: Final = Blame(
    error=RequestError,
    malformed_code="request-malformed",
    too_large_code="request-head-too-large",
    version_code="request-version",
    incomplete_code="request-aborted",
)
TARGET: Final = Blame(
    error=BackendError,
    malformed_code="upstream-malformed",
    too_large_code="upstream-malformed",
    version_code="upstream-malformed",
    incomplete_code="upstream-closed",
)
