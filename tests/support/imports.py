"""The imports of the project's packages, read from their sources: who imports whom, and where."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("lmmcore", "lmmstudy")


@dataclass(frozen=True)
class Import:
    """One import statement: the file, its line, the modules of the project that it executes, and whether it
    stands inside a function."""

    path: Path
    line: int
    modules: tuple[str, ...]
    inside: bool


@cache
def modules() -> dict[str, Path]:
    """Dotted name and file of every module of the packages."""
    found = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def modules_by_file() -> dict[Path, str]:
    """The dotted name of each file."""
    return {path: name for name, path in modules().items()}


@cache
def imports() -> tuple[Import, ...]:
    """Every import of one module of the project by another, those for type checkers included."""
    found: list[Import] = []
    for path in modules().values():
        found += _of(ast.parse(path.read_text("utf-8")), path, inside=False)
    return tuple(found)


def _of(node: ast.AST, path: Path, inside: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        names: list[str] = []
        if isinstance(child, ast.ImportFrom) and child.module:
            names = [f"{child.module}.{alias.name}" for alias in child.names]
            names = [name if name in modules() else child.module for name in names]
        elif isinstance(child, ast.Import):
            names = [alias.name for alias in child.names]
        own = modules_by_file()[path]
        known = tuple(dict.fromkeys(name for name in names if name in modules() and name != own))
        if known:
            yield Import(path, child.lineno, known, inside)
        within = inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from _of(child, path, within)


def graph() -> dict[str, set[str]]:
    """What each module imports."""
    names = modules_by_file()
    edges: dict[str, set[str]] = {name: set() for name in modules()}
    for one in imports():
        edges[names[one.path]] |= set(one.modules)
    return edges


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules each of which reaches all others of its group."""
    reached: dict[str, set[str]] = {}
    for start in edges:
        seen: set[str] = set()
        waiting = list(edges[start])
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                waiting += edges[name]
        reached[start] = seen
    found = {frozenset(b for b in reached[a] if a in reached[b]) for a in edges if a in reached[a]}
    return sorted(sorted(group) for group in found)
