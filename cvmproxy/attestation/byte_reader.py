"""A cursor over bytes with little-endian integers, for binary layouts of fixed fields."""

from typing import Final


class TruncatedError(ValueError):
    """More bytes were asked for than there are."""


class ByteReader:
    """Takes fields from the front of ``data``, one after another."""

    def __init__(self, data: bytes) -> None:
        self._data: Final = data
        self._offset = 0

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes.

        :raises TruncatedError: there are fewer.
        """
        end = self._offset + size
        if end > len(self._data):
            raise TruncatedError(f"{size} bytes at offset {self._offset} of {len(self._data)}")
        taken = self._data[self._offset : end]
        self._offset = end
        return taken

    def u16(self) -> int:
        """Return the next two bytes as a number."""
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        """Return the next four bytes as a number."""
        return int.from_bytes(self.take(4), "little")

    def rest(self) -> bytes:
        """Return all that is left."""
        return self.take(len(self._data) - self._offset)
