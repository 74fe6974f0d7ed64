"""Which model is a special case of which, worked out from the models themselves.

A null model is nested in an alternative when its mean is (the column space of X: compared by span atoms, so
that `t:arm` is found inside `t * arm`), each of its random terms lies within one of the alternative's, and
its residual structure is the same or a special case.
"""

from __future__ import annotations

from dataclasses import dataclass

from lmmcore.covariance.random import Block
from lmmcore.model import Model, RandomBlock


@dataclass(frozen=True)
class Step:
    """What the alternative adds to the null.

    fixed : fixed effects; residual : parameters of the residual structure; merged : covariances between
    effects that the null has uncorrelated; nugget : whether one of the residual parameters is a nugget,
    which cannot be negative;
    grown : for each block with new effects, (block of the alternative, places of its new columns).
    """

    fixed: int
    residual: int
    merged: int
    nugget: bool
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
        known = {name for member in members for name in member.names}
        old = sum(len(member.columns) for member in members)
        if block.kind == "unstructured":
            merged += old * (old + 1) // 2 - sum(_size(member) for member in members)
            if old < len(block.columns):
                new = [p for name, p in zip(block.names, block.columns, strict=True) if name not in known]
                grown.append((block, tuple(new[old - len(block.columns) :])))
        elif members:
            merged += _size(block) - _size(members[0])
        else:
            grown.append((block, block.columns))
    nugget = _has_nugget(alternative) and not _has_nugget(null)
    found = Step(alternative.p - null.p, residual, merged, nugget, tuple(grown))
    added = found.fixed + found.residual + found.merged + len(found.grown)
    return found if added > 0 else None


def _size(block: RandomBlock) -> int:
    """Covariance parameters of a block."""
    return len(Block(block.columns, block.kind).units())


def _placed(
    null: tuple[RandomBlock, ...], alternative: tuple[RandomBlock, ...]
) -> list[list[RandomBlock]] | None:
    """For each block of the alternative, the null's blocks inside it; None if one has no place."""
    inside: list[list[RandomBlock]] = [[] for _ in alternative]
    for block in null:
        for place, other in enumerate(alternative):
            if block.group == other.group and _contains(other, block):
                inside[place].append(block)
                break
        else:
            return None
    return inside


def _contains(large: RandomBlock, small: RandomBlock) -> bool:
    """Whether any covariance of the small block is one of the large block."""
    if large.kind == "unstructured":
        return set(small.names) <= set(large.names) or small.atoms <= large.atoms
    kinds = ("identity", "compound_symmetry")
    same = large.names == small.names and small.kind in kinds
    return same and kinds.index(small.kind) <= kinds.index(large.kind)


# A residual structure of the first type is a special case of one of the second.
SPECIAL_CASES = {
    ("ar1", "toeplitz"),
    ("ar1", "unstructured"),
    ("compound_symmetry", "toeplitz"),
    ("compound_symmetry", "unstructured"),
    ("toeplitz", "unstructured"),
}


def _residual(null: Model, alternative: Model) -> int | None:
    """Parameters that the alternative's residual structure adds; None if the null's is not a case of it."""
    small, large = null.spec, alternative.spec
    if small.weights != large.weights or small.offset != large.offset:
        return None
    if small.variance not in (None, large.variance) or not _is_case(null, alternative):
        return None
    count = [0 if m.structure is None else len(m.structure.parameter_names) for m in (null, alternative)]
    return count[1] - count[0]


def _is_case(null: Model, alternative: Model) -> bool:
    old, new = null.spec.residual, alternative.spec.residual
    if old is None:
        return True
    if new is None or null.groups[-1].columns != alternative.groups[-1].columns:
        return False
    if type(old) is type(new):
        return old.time == new.time and _has_nugget(null) <= _has_nugget(alternative)
    return (old.type, new.type) in SPECIAL_CASES and old.time in (None, new.time)


def _has_nugget(model: Model) -> bool:
    """Whether the residual structure estimates a nugget."""
    return bool(getattr(model.spec.residual, "nugget", False))
