"""Fingerprints of code: what a job's result depends on, and nothing else.

Snakemake tracks a script by its file time and does not see the modules it imports. A rule of this
workflow therefore carries its script's fingerprint among its parameters: a hash over the script and
all modules of the project that it imports, directly or through others. Comments, docstrings and
layout are taken out first, so they re-run nothing; a change of meaning anywhere in that set re-runs
exactly the jobs whose script reaches it. Versions of third-party packages are not part of it:
results record those on their own.

The import graph is read from the source text (imports inside functions included); nothing is
imported, so this costs a few milliseconds while the workflow is being parsed. A package that hands its
names on when they are asked for (a table HOME in its __init__.py) counts by the names that are used:
`from lmmcore import AR1`, or `lmm.AR1` after `import lmmcore as lmm`.
"""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha256
from pathlib import Path

from lmmstudy.base.project import INSTALLED, PACKAGES

NAMES = ("lmmcore", "lmmstudy")
# What an installation makes of the sources beside it, other bytes with every compiler.
BUILT = {".pyc", ".so", ".pyd"}


def fingerprints(scripts: Iterable[str | Path], root: str | Path) -> dict[str, str]:
    """`{name of the script: hash}`, over each script and the project code under `root` it depends on.

    Data files inside a package (templates, style sheets, C sources) count by their bytes as soon as the
    script reaches that package. Raises `SyntaxError` when a module cannot be parsed.
    """
    root = Path(root)
    seen: dict[Path, tuple[list[Path], str]] = {}
    return {Path(script).stem: _fingerprint(Path(script), root, seen) for script in scripts}


def closure(
    script: str | Path, root: str | Path, seen: dict[Path, tuple[list[Path], str]] | None = None
) -> set[Path]:
    """`script` and every Python file of the project that it imports, directly or through others.

    `seen` keeps for each file what it imports and its hash, so that several scripts share the work.
    """
    root, seen = Path(root), {} if seen is None else seen
    found: set[Path] = set()
    waiting = [Path(script)]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path not in seen:
            tree = ast.parse(path.read_text("utf-8"), str(path))
            names = _handed_on(_imported(tree, path, root), root)
            imported = [file for name in names for file in _files(name, path, root)]
            seen[path] = imported, sha256(normalised(tree)).hexdigest()
        waiting.extend(seen[path][0])
    return found


def _fingerprint(script: Path, root: Path, seen: dict[Path, tuple[list[Path], str]]) -> str:
    files = closure(script, root, seen)
    hashes = {path: seen[path][1] for path in files}
    for folder in {path.parent for path in files if _name(path, root).parts[0] in NAMES}:
        hashes |= {path: sha256(path.read_bytes()).hexdigest() for path in _data_files(folder)}
    listing = sorted(f"{_name(path, root).as_posix()} {value}\n" for path, value in hashes.items())
    return sha256("".join(listing).encode()).hexdigest()


def _name(path: Path, root: Path) -> Path:
    """The file's place in the project: an installation has the workflow inside lmmstudy."""
    inside = root / INSTALLED.relative_to(PACKAGES)
    return path.relative_to(inside if path.is_relative_to(inside) else root)


def normalised(tree: ast.Module) -> bytes:
    """The meaning of a module: its syntax tree without docstrings (cut out of it) and positions."""
    for node in _statements(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
    return ast.dump(tree, annotate_fields=False).encode()


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The module and all its statements, nested ones included; expressions hold neither imports
    nor docstrings, and most of a tree is expressions."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting.extend(getattr(node, block, ()))


def _imported(tree: ast.Module, path: Path, root: Path) -> set[str]:
    """Dotted names that the module imports; `from a import b` gives both `a` and `a.b`."""
    names: set[str] = set()
    packages: dict[str, str] = {}
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
            packages |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = _name(path, root).parent.parts
                package = package[: len(package) - node.level + 1]
                base = ".".join([*package, base] if base else package)
            names.add(base)
            names.update(f"{base}.{alias.name}" for alias in node.names)
    packages = {name: package for name, package in packages.items() if package in NAMES}
    for node in ast.walk(tree) if packages else ():
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in packages:
            names.add(f"{packages[node.value.id]}.{node.attr}")
    return names


def _handed_on(names: set[str], root: Path) -> set[str]:
    """The names, and the modules that packages take them from when they are asked for."""
    found = set(names)
    for name in names:
        package, _, last = name.rpartition(".")
        if package in NAMES:
            found.update(filter(None, [_homes(root / package / "__init__.py").get(last)]))
    return found


@cache
def _homes(init: Path) -> dict[str, str]:
    """The table HOME of a package: {name: module}; {} without one."""
    for node in ast.parse(init.read_text("utf-8")).body if init.is_file() else ():
        if isinstance(node, ast.Assign) and [t.id for t in node.targets if isinstance(t, ast.Name)] == [
            "HOME"
        ]:
            return ast.literal_eval(node.value)
    return {}


def _files(module: str, importer: Path, root: Path) -> Iterator[Path]:
    """Files that importing `module` executes: the packages on the way, then the module itself."""
    parts = module.split(".")
    if parts[0] in NAMES:
        for depth in range(1, len(parts) + 1):
            place = root.joinpath(*parts[:depth])
            yield from (f for f in (place / "__init__.py", place.with_suffix(".py")) if f.is_file())
    elif _name(importer, root).parts[0] not in NAMES:
        # A script may import a helper that stands beside it.
        beside = importer.with_name(f"{parts[0]}.py")
        if beside.is_file():
            yield beside


def _data_files(folder: Path) -> Iterator[Path]:
    """What a package holds besides Python: the files of its folder."""
    for path in folder.iterdir():
        if path.is_file() and path.suffix not in {".py", *BUILT} and path.name[0] != ".":
            yield path
