"""Which model is a special case of which, worked out from the models themselves.

A null model is nested in an alternative when its mean is (the column space of X: compared by span atoms, so
that `t:arm` is found inside `t * arm`), each of its random terms lies within one of the alternative's, and
its residual structure is the same or a special case.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmmcore.model import Model, RandomBlock


@dataclass(frozen=True)
class Step:
    """What the alternative adds to the null.

    fixed : fixed effects; residual : parameters of the residual structure; merged : covariances between
    effects that the null has uncorrelated;
    grown : for each block with new effects, (block of the alternative, places of its new columns).
    """

    fixed: int
    residual: int
    merged: int
    grown: tuple[tuple[RandomBlock, tuple[int, ...]], ...]


def step(null: Model, alternative: Model) -> Step | None:
    """The step from null to alternative; None unless null is nested in alternative and smaller."""
    if not null.fixed.atoms <= alternative.fixed.atoms:
        return None
    inside = _placed(null.blocks, alternative.blocks)
    if inside is None:
        return None
    residual = _residual(null, alternative)
    if residual is None:
        return None
    merged, grown = 0, []
    for block, members in zip(alternative.blocks, inside, strict=True):
        old = sum(len(member.columns) for member in members)
        merged += _triangle(old) - sum(_triangle(len(member.columns)) for member in members)
        if old < len(block.columns):
            known = {name for member in members for name in member.names}
            new = [place for name, place in zip(block.names, block.columns, strict=True) if name not in known]
            grown.append((block, tuple(new[len(new) - (len(block.columns) - old) :])))
    found = Step(alternative.p - null.p, residual, merged, tuple(grown))
    added = found.fixed + found.residual + found.merged + len(found.grown)
    return found if added > 0 else None


def _triangle(size: int) -> int:
    return size * (size + 1) // 2


def _placed(
    null: tuple[RandomBlock, ...], alternative: tuple[RandomBlock, ...]
) -> list[list[RandomBlock]] | None:
    """For each block of the alternative, the null's blocks inside it; None if one has no place."""
    inside: list[list[RandomBlock]] = [[] for _ in alternative]
    for block in null:
        for place, other in enumerate(alternative):
            if block.group == other.group and (
                set(block.names) <= set(other.names) or block.atoms <= other.atoms
            ):
                inside[place].append(block)
                break
        else:
            return None
    return inside


def _residual(null: Model, alternative: Model) -> int | None:
    """Parameters that the alternative's residual structure adds; None if the null's is not a case of it."""
    old, new = null.spec.residual, alternative.spec.residual
    if new is None:
        return 0 if old is None else None
    if old is None:
        assert alternative.structure is not None
        return len(alternative.structure.parameter_names)
    same = type(old) is type(new) and old.time == new.time
    return 0 if same and null.groups[-1].columns == alternative.groups[-1].columns else None
