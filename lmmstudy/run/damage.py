"""Results and reports that are not as a job wrote them: cut off, overwritten, edited, of another dataset.

Snakemake looks at file times and takes such a file for a result. So each run looks at the contents first and
removes what is damaged, which makes its job run again, to the same bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from lmmcore.errors import DataError
from lmmcore.runtime.stored import check
from lmmstudy.base.files import Damaged, file_sha256, name_of_page, read_result
from lmmstudy.base.folders import Folders
from lmmstudy.report.data.names import RESULTS


def check_folders(datasets: Iterable[str], at: Folders) -> None:
    """Raise DataError where something else stands in the place of a folder that a run makes."""
    made = [Path(".snakemake"), at.results, at.reports, at.logs, at.runs / "logs", at.runs / "reports"]
    for dataset in datasets:
        made += [parent / dataset for parent in (at.results, at.logs)]
        made += [parent / dataset / "models" for parent in (at.results, at.logs)]
    for folder in made:
        if (folder.exists() or folder.is_symlink()) and not folder.is_dir():
            raise DataError(f"{folder} is a file or a broken link where a folder should be: move it away.")


def remove_damaged(config: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Remove damaged results and reports of the study in `folder`; {name: what was wrong with it}.

    config : the checked configuration. Raises DataError where something that no run makes is in the way.
    """
    found: dict[str, str] = {}
    for path, look, remade_by in _files(config):
        place = folder / path
        if not (place.exists() or place.is_symlink()):
            continue
        try:
            look(place)
        except (Damaged, OSError) as error:
            found[str(path)] = _reason(error)
            _remove(folder / remade_by, str(remade_by))
    return found


def _files(config: Mapping[str, Any]) -> Iterator[tuple[Path, Callable[[Path], object], Path]]:
    """Each file or folder that a run makes, what raises Damaged if it is, and what to remove then."""
    results, reports = Path("results"), Path("reports")
    for dataset, stanza in config["datasets"].items():
        own = results / dataset
        one = {"dataset": dataset}
        made = {"clean.json": one | {"table_sha256": str}, "selection.json": one | {"ladder": [{}]}}
        made |= {f"models/{model}.json": one | {"model": model} for model in stanza["candidates"]}
        for name, shape in made.items():
            yield own / name, _result_of(shape), own / name
        yield own / "clean.parquet", _table, own / "clean.parquet"
        page = reports / f"{dataset}.html"
        yield page, _page_of(dataset), page
        yield reports / dataset, _tables_of(dataset), page
    for name in ("index", "compare"):
        yield reports / f"{name}.html", _page_of(name), reports / f"{name}.html"


def _result_of(shape: Mapping[str, Any]) -> Callable[[Path], None]:
    def look(path: Path) -> None:
        check(read_result(path), shape)

    return look


def _table(path: Path) -> None:
    """The table is the one that its audit speaks of."""
    try:
        audit = read_result(path.with_suffix(".json"))
    except (Damaged, OSError):  # then both are made again
        return
    if file_sha256(path) != audit.get("table_sha256"):
        raise Damaged("it is cut off, overwritten, or of another version")


def _page_of(name: str) -> Callable[[Path], None]:
    def look(path: Path) -> None:
        check({"page": name_of_page(path)}, {"page": name})

    return look


def _tables_of(dataset: str) -> Callable[[Path], None]:
    """The folder of a report's tables, by the checksums that its results give."""

    def look(folder: Path) -> None:
        results = read_result(folder / RESULTS)
        check(results, {"dataset": dataset, "tables_sha256": {str: str}})
        for name, sum in results["tables_sha256"].items():
            if file_sha256(folder / name) != sum:
                raise Damaged(f"{name} is cut off or overwritten")

    return look


def _reason(error: Damaged | OSError) -> str:
    if isinstance(error, OSError):
        return f"it cannot be read ({error.strerror or error})"
    return str(error)


def _remove(path: Path, name: str) -> None:
    try:
        path.unlink(missing_ok=True)
    except (IsADirectoryError, PermissionError) as error:
        if not path.is_dir():
            raise
        raise DataError(f"{name} is a folder where a result should be: move it away.") from error
