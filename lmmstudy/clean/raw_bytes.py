"""From a file's bytes to its text: read as a whole, unpacked, recognised for what they are, decoded."""

import gzip
import io
import re
import stat
import time
import unicodedata
import zlib
from collections.abc import Sequence
from pathlib import Path

from lmmstudy.base.text import did_you_mean, quoted

LARGEST = 4 * 2**30
"""Bytes of an unpacked file; a bigger one is a mistake or an attack."""
RATIO, SMALL = 200, 2**27
"""How many times its size a packed table unpacks to at most, beyond a size that does no harm."""
PIECE = 2**24
PATIENCE = 10
"""Times to look again at a file that is being written, half a second apart."""
FOREIGN = {
    b"PK\x03\x04": ("a zip archive or an Excel workbook", "save the sheet as CSV (UTF-8)"),
    b"\xd0\xcf\x11\xe0": ("an old Excel workbook", "save the sheet as CSV (UTF-8)"),
    b"BZh": ("packed with bzip2", "unpack it, or pack it with gzip"),
    b"\xfd7zXZ": ("packed with xz", "unpack it, or pack it with gzip"),
    b"(\xb5/\xfd": ("packed with zstd", "unpack it, or pack it with gzip"),
    b"%PDF": ("a PDF", "export the table as CSV"),
    b"$FL2": ("an SPSS file", "export it as CSV or Parquet"),
    b"<stata_dta>": ("a Stata file", "export it as CSV or Parquet"),
    b"RDX3": ("an R file", "export it as CSV or Parquet"),
    b"X\n\0\0\0": ("an R file", "export it as CSV or Parquet"),
}
UTF32 = (b"\xff\xfe\0\0", b"\0\0\xfe\xff")
UTF16 = (b"\xff\xfe", b"\xfe\xff")
SAMPLE = 4000
"""Bytes that show by their zeros of how many a character is made."""


class Unusable(Exception):
    """The raw file cannot be analysed; the text completes the sentence "... was not analysed: ".

    others : further problems of the same kind, for `lmm check`, which lists them all.
    """

    def __init__(self, reason: str, others: tuple[str, ...] = ()) -> None:
        super().__init__(reason)
        self.others = others


class Lacking(Unusable):
    """The raw file has not all columns that are asked of it.

    present : its columns. hint : what else the sentence says of columns that it lacks.
    """

    def __init__(self, name: str, columns: Sequence[str], present: Sequence[str], hint: str = "") -> None:
        missing = [column for column in columns if column not in present]
        self.name, self.present = name, present
        noun = "column" if len(missing) == 1 else "columns"
        hint = hint or did_you_mean(missing[0], present) or "."
        super().__init__(f"{name} has no {noun} {quoted(missing)}{hint} It has {quoted(present)}")


def read_bytes(path: Path, name: str) -> bytes:
    """The content of the file `path`, which sentences call `name`; all of it from one moment.

    A file that somebody is writing is looked at again until it rests. Raises `Unusable`.
    """
    for attempt in range(PATIENCE):
        if attempt:
            time.sleep(0.5)
        try:
            before = path.stat()
            if stat.S_ISFIFO(before.st_mode) or stat.S_ISCHR(before.st_mode):  # it may never end
                raise Unusable(f"{name} is not a regular file: put a file there, or correct `path`")
            content = path.read_bytes()
            after = path.stat()
        except IsADirectoryError:
            raise Unusable(f"{name} cannot be read, it is a folder: correct `path`") from None
        except OSError as error:
            raise Unusable(f"{name} cannot be read ({error.strerror}): correct this, or `path`") from error
        moment = (before.st_mtime_ns, before.st_size, before.st_ino)
        if moment == (after.st_mtime_ns, after.st_size, after.st_ino) and len(content) == after.st_size:
            return content
    raise Unusable(f"{name} changed while it was read: run again when whoever writes it is done")


def unpacked(content: bytes, name: str) -> bytes:
    """`content` out of gzip if it is in it. Raises `Unusable` for damage and for what is no data file."""
    if content.startswith(b"\x1f\x8b"):
        content = _out_of_gzip(content, name)
    for start, (kind, remedy) in FOREIGN.items():
        if content.startswith(start):
            raise Unusable(f"{name} is {kind}: {remedy}")
    return content


def _out_of_gzip(packed: bytes, name: str) -> bytes:
    """What is packed, piece by piece: a few bytes can unpack to more than there is memory."""
    content = bytearray()
    try:
        with gzip.open(io.BytesIO(packed)) as stream:
            while piece := stream.read(PIECE):
                content += piece
                if len(content) > LARGEST:
                    raise Unusable(f"{name} unpacks to more than {LARGEST // 2**30} GiB: split it")
                if len(content) > max(SMALL, RATIO * len(packed)):
                    raise Unusable(f"{name} unpacks to more than {RATIO} times its size: that is no table")
    except (OSError, EOFError, zlib.error) as error:
        raise Unusable(f"{name} is damaged, its gzip packing breaks off: copy it again") from error
    return bytes(content)


def decoded(content: bytes, encoding: str, name: str) -> str:
    """The text, lines ended by line feeds, characters composed (NFC: one é, however it was typed).

    Raises `Unusable` for bytes that are not in `encoding`, with the line, and for those that are evidently in
    another one.
    """
    plain = encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")
    if plain and content.startswith(UTF32):
        raise Unusable(f"{name} begins like UTF-16 and is UTF-32: set `encoding: utf-32`")
    if plain and content.startswith(UTF16):
        raise Unusable(f"{name} begins like UTF-16: set `encoding: utf-16`")
    try:
        text = content.decode("utf-8-sig" if plain else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Unusable(
            f"byte {error.start} of {name}, in line {line}, is not {encoding}: name the file's `encoding`, "
            "such as latin-1"
        ) from error
    except (LookupError, ValueError) as error:
        raise Unusable(f"Python knows no text encoding {encoding!r}: correct `encoding`") from error
    if not content.isascii() and len(text) == len(content) and _is_utf8(content):
        raise Unusable(f"{name} is utf-8 and not {encoding}: remove `encoding`, or set `encoding: utf-8`")
    if half := re.search("[\ud800-\udfff]", text):
        raise Unusable(f"character {half.start()} of {name} is half a character: correct `encoding`")
    if "\0" in text:
        form = wide_form(content)
        hint = f"set `encoding: {form.removesuffix('-le')}`" if form else "export the table as CSV"
        raise Unusable(f"{name} is not a text file (a zero byte at {text.index(chr(0))}): {hint}")
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def wide_form(content: bytes) -> str | None:
    """The encoding of a text of two or four bytes a character, by its mark or its zeros; None for another."""
    if content.startswith(UTF32):
        return "utf-32"
    if content.startswith(UTF16):
        return "utf-16"
    sample = content[:SAMPLE]
    zeros = [sample[place::4].count(0) > 0.4 * len(sample) / 4 for place in range(4)]
    if sum(zeros) == 3:
        return "utf-32-le" if zeros[3] else "utf-32-be"
    if zeros[:2] == zeros[2:] and sum(zeros) == 2:
        return "utf-16-le" if zeros[1] else "utf-16-be"
    return None


def as_utf8(content: bytes, encoding: str, name: str) -> bytes:
    """What `decoded` gives, in UTF-8. A large file is in memory once: most are ASCII and stay as they are."""
    plain = encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii")
    if plain and content.isascii() and b"\r" not in content and b"\0" not in content:
        return content
    return decoded(content, encoding, name).encode()


def _is_utf8(content: bytes) -> bool:
    """Whether the bytes are UTF-8. Accented text in an encoding of one byte a character hardly ever is."""
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
