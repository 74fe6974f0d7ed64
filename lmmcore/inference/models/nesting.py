"""Which model is a special case of which, worked out from the models themselves.

A null model is nested in an alternative when its mean is (the column space of X: compared by span atoms, so
that `t:arm` is found inside `t * arm`), each of its random terms lies within one of the alternative's, and
its residual structure is the same or a special case.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lmmcore.covariance.random import Block
from lmmcore.covariance.residual import by_column
from lmmcore.covariance.variance import ByGroup
from lmmcore.model.grouping import same_levels
from lmmcore.model.specification import Model, RandomBlock


@dataclass(frozen=True)
class Step:
    """What the alternative adds to the null.

    fixed : fixed effects; residual : parameters of the residual structure; merged : covariances between
    effects that the null has uncorrelated, or equal; bounded : whether one of the residual parameters, a
    nugget or a correlation that cannot be negative, is on the boundary of its space under the null;
    unidentified : residual parameters that mean nothing under the null;
    grown : for each block with new effects, (block of the alternative, places of its new columns).
    """

    fixed: int
    residual: int
    merged: int
    bounded: bool
    unidentified: tuple[str, ...]
    grown: tuple[tuple[RandomBlock, tuple[int, ...]], ...]


def step(null: Model, alternative: Model) -> Step | None:
    """The step from null to alternative; None unless null is nested in alternative and smaller."""
    if not null.fixed.atoms <= alternative.fixed.atoms:
        return None
    inside = _placed(null, alternative)
    if inside is None:
        return None
    residual = _residual(null, alternative)
    if residual is None:
        return None
    merged, grown = 0, []
    for block, members in zip(alternative.blocks, inside, strict=True):
        known = {name for member, _ in members for name in member.names}
        sizes = [_size(member) for member, _ in members]
        old = sum(len(member.columns) for member, _ in members)
        covered = frozenset(atom for _, atoms in members for atom in atoms)
        if block.kind == "unstructured" and block.atoms == covered:
            merged += _size(block) - sum(sizes)
        elif any(member.group != block.group for member, _ in members):
            return None
        elif block.kind == "unstructured":
            merged += old * (old + 1) // 2 - sum(sizes)
            if old < len(block.columns):
                new = [p for name, p in zip(block.names, block.columns, strict=True) if name not in known]
                grown.append((block, tuple(new[old - len(block.columns) :])))
        elif members:
            merged += _size(block) - sizes[0]
        else:
            grown.append((block, block.columns))
    bounded, unidentified = _at_the_boundary(null, alternative)
    found = Step(alternative.p - null.p, residual, merged, bounded, unidentified, tuple(grown))
    added = found.fixed + found.residual + found.merged + len(found.grown)
    return found if added > 0 else None


def _size(block: RandomBlock) -> int:
    """Covariance parameters of a block."""
    return len(Block(block.columns, block.kind).units())


Members = list[tuple[RandomBlock, frozenset[Any]]]
"""Blocks of the null inside one of the alternative, each with its column space within the latter's group."""


def _placed(null: Model, alternative: Model) -> list[Members] | None:
    """For each block of the alternative, the null's blocks inside it; None if one has no place."""
    inside: list[Members] = [[] for _ in alternative.blocks]
    for block in null.blocks:
        for place, other in enumerate(alternative.blocks):
            atoms = _within(block, null, other, alternative)
            if atoms is not None:
                inside[place].append((block, atoms))
                break
        else:
            return None
    return inside


def _within(small: RandomBlock, null: Model, large: RandomBlock, alternative: Model) -> frozenset[Any] | None:
    """The column space of the small block among the large block's effects; None if it is not inside it.

    (1 | worker:machine) lies within (0 + machine | worker): an effect of each machine, of equal variance.
    """
    if small.group == large.group:
        return small.atoms if _contains(large, small) else None
    inner, outer = set(null.groups[small.level].columns), set(alternative.groups[large.level].columns)
    if large.kind != "unstructured" or not outer < inner or len(inner) > len(outer) + 1 or _single(small):
        return None
    (column,) = inner - outer
    for name in (column, f"C({column})"):
        atoms = small.atoms | {(numbers, categories | {name}) for numbers, categories in small.atoms}
        if atoms <= large.atoms:
            return atoms
    return None


def _single(block: RandomBlock) -> bool:
    """Whether a block is one effect of an uncorrelated term, whose column space is not known by its atoms."""
    return any(isinstance(atom, str) for atom in block.atoms)


def _contains(large: RandomBlock, small: RandomBlock) -> bool:
    """Whether any covariance of the small block is one of the large block."""
    if large.kind == "unstructured":
        return set(small.names) <= set(large.names) or small.atoms <= large.atoms
    kinds = ("identity", "compound_symmetry")
    same = large.names == small.names and small.kind in kinds
    return same and kinds.index(small.kind) <= kinds.index(large.kind)


# Correlations that are 0 at the end of their space only; with a nugget there are two ways to independence,
# and in either the other parameter means nothing.
ONE_SIDED = ("car1", "exponential", "gaussian")
# A residual structure of the first type is a special case of one of the second.
ON_A_GRID = ("ar1", "car1", "exponential", "gaussian", "compound_symmetry")
SPECIAL_CASES = {
    *((small, large) for small in ON_A_GRID for large in ("toeplitz", "unstructured")),
    *((small, "ante_dependence") for small in ("ar1", "car1", "exponential", "random_walk")),
    ("ante_dependence", "unstructured"),
    ("car1", "exponential"),
    ("exponential", "car1"),
    ("toeplitz", "unstructured"),
    ("random_walk", "unstructured"),
}


def _residual(null: Model, alternative: Model) -> int | None:
    """Parameters that the alternative's residual structure adds; None if the null's is not a case of it."""
    small, large = null.spec, alternative.spec
    if small.weights != large.weights or small.offset != large.offset:
        return None
    by = by_column(large.residual)
    of_levels = None if by is None else ByGroup(by)  # a covariance of each level holds its SD
    if small.variance not in (None, large.variance, of_levels) or not _is_case(null, alternative):
        return None
    count = [0 if m.structure is None else len(m.structure.parameter_names) for m in (null, alternative)]
    return count[1] - count[0] if count[1] >= count[0] else None


def _is_case(null: Model, alternative: Model) -> bool:
    old, new = null.spec.residual, alternative.spec.residual
    by = by_column(new)
    if old is None:  # a structure without parameters (a random walk) is never independence
        # Where every level's correlation is at its end, that is no test of one parameter.
        several_ends = by is not None and new is not None and new.type in ONE_SIDED
        return new is None or (len(_law_parameters(alternative)) > 0 and not several_ends)
    if by_column(old) not in (None, by):
        return False
    if new is None or not same_levels(null.groups[-1].factor, alternative.groups[-1].factor):
        return False
    if old.time not in (None, new.time):
        return False
    unequal = [_has(model, "heterogeneous") for model in (null, alternative)]
    if type(old) is type(new):
        return _has(null, "nugget") <= _has(alternative, "nugget") and unequal[0] <= unequal[1]
    if new.type == "ante_dependence":
        # With a nugget more than the last visit counts; the variance of a random walk grows.
        if _has(null, "nugget") or (old.type == "random_walk" and not unequal[1]):
            return False
    return (old.type, new.type) in SPECIAL_CASES


def _law_parameters(model: Model) -> tuple[str, ...]:
    parts = () if model.structure is None else model.structure.parts
    return tuple(part.named(name) for part in parts for name in part.law.parameter_names)


def _at_the_boundary(null: Model, alternative: Model) -> tuple[bool, tuple[str, ...]]:
    """Step.bounded and Step.unidentified."""
    old, new = null.spec.residual, alternative.spec.residual
    if new is None or new.type not in ONE_SIDED:
        return False, ()
    nugget = _has(alternative, "nugget")
    if old is None:
        return not nugget, _law_parameters(alternative) if nugget else ()
    return nugget and not _has(null, "nugget"), ()


def _has(model: Model, option: str) -> bool:
    """Whether the residual structure has its nugget, or heterogeneous variances."""
    return bool(getattr(model.spec.residual, option, False))
