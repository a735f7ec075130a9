"""Producers that write zeros: one that pushes, one that is pulled."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Pushing:
    """Writes for as long as it is not told to pause."""

    def __init__(self, transport: object, total: int) -> None:
        self.sent, self.pauses, self._total, self._transport, self._paused = 0, 0, total, transport, False
        self.paused_first: Deferred[None] = Deferred()

    def push(self) -> None:
        while not self._paused and self.sent < self._total:
            self._transport.write(bytes(1 << 15))
            self.sent += 1 << 15
        if self.sent >= self._total:
            self._transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self._paused = True
        self.pauses += 1
        if self.pauses == 1:
            self.paused_first.callback(None)

    def resumeProducing(self) -> None:
        self._paused = False
        self.push()

    def stopProducing(self) -> None:
        self._paused = True


@implementer(IPullProducer)
class Pulled:
    """Writes once each time it is asked."""

    def __init__(self, transport: object, pieces: int) -> None:
        self._transport, self._left = transport, pieces

    def resumeProducing(self) -> None:
        self._transport.write(bytes(1 << 15))
        self._left -= 1
        if not self._left:
            self._transport.unregisterProducer()

    def stopProducing(self) -> None:
        self._left = 0
