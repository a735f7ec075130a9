"""How claims differ from reference values: the comparison that the appraisal rests on, and its words for the log.

Follows the design page "Measurements files". One comparison serves both, so that a refusal's words can never tell of
another difference than the one that refused.
"""

from collections.abc import Sequence
from typing import Final

from cvmproxy.attestation.model import Claims, ReferenceEntry

_SHOWN_VALUES: Final = 4
"""Alternatives of one register that a log line shows; a file may name thousands."""


def differing_registers(entry: ReferenceEntry, claims: Claims) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the registers in which claims differ from an entry: those enforced, and those that only warn.

    A register that the entry names and the claims lack differs.
    """
    enforced: list[int] = []
    warned: list[int] = []
    for index, reference in sorted(entry.registers.items()):
        if claims.measurements.get(index) not in reference.expected_any:
            (warned if reference.warn_only else enforced).append(index)
    return tuple(enforced), tuple(warned)


def nearest_entry(candidates: Sequence[ReferenceEntry], claims: Claims) -> ReferenceEntry | None:
    """Return the entry with the fewest enforced registers that differ, the first of equals; ``None`` without any."""
    return min(candidates, key=lambda entry: len(differing_registers(entry, claims)[0]), default=None)


def mismatch_message(candidates: Sequence[ReferenceEntry], claims: Claims) -> str:
    """Return the one sentence that says why no entry accepts the claims."""
    nearest = nearest_entry(candidates, claims)
    if nearest is None:
        return f"no entry for evidence of type {claims.attestation_type}"
    registers = ", ".join(map(str, differing_registers(nearest, claims)[0]))
    return f"no entry matches; the nearest is {nearest.measurement_id!r}, which differs in register {registers}"


def describe_mismatch(candidates: Sequence[ReferenceEntry], claims: Claims) -> tuple[str, ...]:
    """Return the log's lines about the nearest entry: for every register that differs, expected and measured."""
    nearest = nearest_entry(candidates, claims)
    if nearest is None:
        return ()
    differing = differing_registers(nearest, claims)[0]
    head = (
        f"nearest of {len(candidates)} entries of type {claims.attestation_type}: {nearest.measurement_id!r}; "
        f"{len(differing)} of its {len(nearest.registers)} registers differ"
    )
    return (head, *(_describe_register(nearest, claims, index) for index in differing))


def _describe_register(entry: ReferenceEntry, claims: Claims, index: int) -> str:
    accepted = sorted(value.hex() for value in entry.registers[index].expected_any)
    shown = " or ".join(accepted[:_SHOWN_VALUES])
    if len(accepted) > _SHOWN_VALUES:
        shown += f" or {len(accepted) - _SHOWN_VALUES} others"
    measured = claims.measurements.get(index)
    return f"register {index}: expected {shown}, measured {'nothing' if measured is None else measured.hex()}"
