"""The texts of options and environment variables → values: booleans, durations, sizes, counts.

Follows the design page "Commands, options, environment". Every function takes the text and raises ``ValueError`` with
what was expected; who calls it names the option.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

_SECONDS_PER_UNIT: Final[Mapping[str, float]] = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BYTES_PER_UNIT: Final[Mapping[str, int]] = {"": 1, "B": 1, "KiB": 1024, "MiB": 1024 * 1024}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(ms|s|m|h)?")
_SIZE: Final = re.compile(r"([0-9]{1,12})(B|KiB|MiB)?")
_COUNT: Final = re.compile(r"[0-9]{1,9}")
_LONGEST_TEXT: Final = 4096
_LONGEST_SECONDS: Final = 30 * 24 * 3600.0


def text(given: str) -> str:
    """Return the text itself; control characters have no place in any option, and a whole file has none either."""
    if len(given) > _LONGEST_TEXT:
        raise ValueError(f"at most {_LONGEST_TEXT} characters")
    if not given.isprintable():
        raise ValueError("text without control characters")
    return given


def boolean(given: str) -> bool:
    """Return the truth of ``true``, ``1``, ``false`` or ``0``, in any case."""
    match given.lower():
        case "true" | "1":
            return True
        case "false" | "0":
            return False
    raise ValueError("true or false")


def seconds(given: str) -> float:
    """Return a duration in seconds: ``30``, ``30s``, ``500ms``, ``5m``, ``1h``; more than zero, at most 30 days."""
    duration = seconds_or_none_at_all(given)
    if duration == 0:
        raise ValueError("a duration above zero, as 30s")
    return duration


def seconds_or_none_at_all(given: str) -> float:
    """Return a duration in seconds, which may be zero."""
    parts = _DURATION.fullmatch(given)
    if parts is None:
        raise ValueError("a duration as 30s, 500ms or 5m")
    duration = float(parts[1]) * _SECONDS_PER_UNIT[parts[2] or "s"]
    if duration > _LONGEST_SECONDS:
        raise ValueError("a duration of at most 30 days")
    return duration


def size_from(least: int) -> Callable[[str], int]:
    """Return a reader of sizes in bytes: ``65536``, ``64KiB``, ``1MiB``; at least ``least``."""

    def size(given: str) -> int:
        parts = _SIZE.fullmatch(given)
        if parts is None or (number := int(parts[1]) * _BYTES_PER_UNIT[parts[2] or ""]) < least:
            raise ValueError(f"a size of at least {least} bytes, as 64KiB")
        return number

    return size


def count(given: str) -> int:
    """Return a whole number, at least 1."""
    if _COUNT.fullmatch(given) is None or int(given) == 0:
        raise ValueError("a whole number from 1")
    return int(given)
