"""One run at a time: a lock that the operating system takes back when its holder dies, however it dies."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another run holds the lock; the text is what that run wrote about itself."""


@contextmanager
def hold(path: Path, owner: str) -> Iterator[int]:
    """Hold the lock file `path` and write `owner` (one line) in it; gives the file's descriptor.

    A child process that inherits the descriptor keeps the lock alive after its parent was killed, which
    is wanted: as long as it works, no other run may begin. Raises `Held` when somebody else holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is no regular file", str(path))
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Held(os.read(descriptor, 500).decode(errors="replace").strip()) from None
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{owner}\n".encode())
        yield descriptor
    finally:
        os.close(descriptor)


def abandoned(folder: Path) -> bool:
    """Whether Snakemake's own lock in `folder` was left by a run that is no longer there.

    True when there is a lock and no living process works in `folder` with Snakemake in its command line.
    Where the system does not list processes under /proc it says False, to be safe.
    """
    return locked_by_snakemake(folder) and Path("/proc/self/cwd").exists() and not _at_work(folder.resolve())


def locked_by_snakemake(folder: Path) -> bool:
    """Whether Snakemake's own lock is in `folder`."""
    return any((folder / ".snakemake" / "locks").glob("*"))


def _at_work(folder: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            if b"snakemake" in command and (process / "cwd").resolve() == folder:
                return True
        except OSError:  # it ended meanwhile, or belongs to somebody else
            continue
    return False
