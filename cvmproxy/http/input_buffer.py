"""Received bytes on their way into a decoder: blocks up to a delimiter, in linear time, and slices without joins."""

from collections import deque
from typing import Final

#: Pieces that wait are joined up to this size, bytes: a great many tiny ones would take many times their bytes.
_JOINED: Final = 4096


class InputBuffer:
    """A queue of received pieces, taken from as blocks (heads, chunk lines) or as slices (bodies).

    A block that is not complete yet is held apart and grows in place, so that a delimiter is never searched for twice
    in the same bytes; all other bytes stay in the pieces that they came in, save that tiny ones are joined.

    :ivar held: the beginning of the block that is not complete yet; never longer than the limit it is taken with.
    """

    __slots__ = ("_later", "_later_size", "_piece", "_start", "held")

    def __init__(self) -> None:
        self._piece = b""
        self._start = 0
        self._later: deque[bytes] = deque()
        self._later_size = 0
        self.held = bytearray()

    def __len__(self) -> int:
        """Return how many bytes wait here."""
        return len(self.held) + len(self._piece) - self._start + self._later_size

    def append(self, data: bytes) -> None:
        """Put received bytes behind all others."""
        if self._start < len(self._piece):
            self._later_size += len(data)
            if self._later and len(self._later[-1]) + len(data) <= _JOINED:
                self._later[-1] += data
            elif data:
                self._later.append(data)
        else:
            self._piece = data
            self._start = 0

    def take_block(self, delimiter: bytes, limit: int) -> bytes | None:
        """Take the bytes through the first delimiter, or return ``None`` if they are not all here.

        A block may have ``limit`` bytes with its delimiter: if ``held`` has reached it, no more bytes will help.
        """
        if not self.held:
            end = self._piece.find(delimiter, self._start, self._start + limit)
            if end >= 0:
                end += len(delimiter)
                block = self._piece[self._start : end]
                self._start_at(end)
                return block
        while self._start < len(self._piece) and len(self.held) < limit:
            before = len(self.held)
            self.held += self._piece[self._start : self._start + limit - before]
            end = self.held.find(delimiter, max(0, before - len(delimiter) + 1))
            if end >= 0:
                end += len(delimiter)
                block = bytes(self.held[:end])
                self.held.clear()
                self._start_at(self._start + end - before)
                return block
            self._start_at(self._start + len(self.held) - before)
        return None

    def take_slice(self, limit: int) -> bytes:
        """Take up to ``limit`` bytes of one piece, the very piece where it is all of it; empty if nothing is here.

        Only between blocks: what is held of a block is not seen.
        """
        piece, start = self._piece, self._start
        if start == 0 and len(piece) <= limit:
            self._start_at(len(piece))
            return piece
        data = piece[start : start + limit]
        self._start_at(start + len(data))
        return data

    def take_all(self) -> bytes:
        """Take everything that waits here."""
        everything = b"".join((self.held, self._piece[self._start :], *self._later))
        self.held.clear()
        self._piece, self._start = b"", 0
        self._later.clear()
        self._later_size = 0
        return everything

    def _start_at(self, position: int) -> None:
        if position < len(self._piece):
            self._start = position
        else:
            self._piece = self._later.popleft() if self._later else b""
            self._later_size -= len(self._piece)
            self._start = 0
