"""Lists and sentences."""

from collections.abc import Iterable


def listing(items: Iterable[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    words = list(items)
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1] if words else ""


def sentence(text: str) -> str:
    """The text with a capital letter in front and one full stop at the end."""
    text = text.strip()
    return text[:1].upper() + text[1:].rstrip(".") + "." if text else ""
