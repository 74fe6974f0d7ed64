"""Files that a command is told to write: looked at before anything is written, so that nothing is lost."""

from collections.abc import Callable
from pathlib import Path

from lmmcore.errors import DataError
from lmmstudy.base.files import DAMAGED
from lmmstudy.base.text import shown
from lmmstudy.config.places import GENERATED, generated


def check_target(name: str, what: str, is_former: Callable[[Path], bool], force: bool) -> None:
    """Raise DataError, one sentence, where `what` cannot or should not be written to the file `name`.

    is_former : whether an existing file is what the same command wrote earlier; another one is replaced only
    with `force`.
    """
    path = Path(name)
    if not name.strip() or not path.name:
        raise DataError(f"{what} needs the name of a file, not {name!r}.")
    try:
        if not path.parent.is_dir():
            raise DataError(f"{what} cannot be written to {shown(name)}: there is no folder {path.parent}.")
        if path.is_dir():
            raise DataError(f"{what} cannot be written to {shown(name)}: it is a folder; name a file in it.")
        if path.exists() and not path.is_file():
            raise DataError(f"{what} cannot be written to {shown(name)}: it is no regular file.")
        if (folder := generated(path, Path.cwd())) is not None:
            raise DataError(
                f"{what} cannot be written to {shown(name)}: {folder} holds what runs make and remove (so do "
                f"{', '.join(other for other in GENERATED if other != folder)}); name another folder."
            )
        if path.exists() and not force and not _holds(is_former, path):
            raise DataError(
                f"{shown(name)} is there already and is no earlier {what.lower()}: name another file, or say "
                "--force to replace it."
            )
    except (
        OSError,
        ValueError,
    ) as error:  # a name too long, with a zero byte, a closed folder
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(f"{what} cannot be written to {shown(name)}: {reason}.") from None


def _holds(is_former: Callable[[Path], bool], path: Path) -> bool:
    try:
        return is_former(path)
    except DAMAGED:
        return False
