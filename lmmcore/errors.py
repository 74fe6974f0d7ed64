"""All errors that the engine raises on purpose.

Each message is one sentence that says what is wrong, where, what is allowed and what to do next.
"""

MOST = 600
"""Characters of a message, a few lines; names and values in it may be of any length."""


class LmmError(Exception):
    """Base of every error the engine raises on purpose."""

    def __init__(self, message: str) -> None:
        super().__init__(brief(message))


def brief(message: str) -> str:
    """The message, its middle left out where it is longer than MOST characters."""
    return message if len(message) <= MOST else f"{message[: MOST // 2]} ... {message[-MOST // 2 :]}"


class FormulaError(LmmError):
    """The formula cannot be read, or names something that is not allowed."""


class DataError(LmmError):
    """The data do not have what the model needs."""


class FitError(LmmError):
    """The model cannot be estimated from these data."""


class ArgumentError(LmmError, ValueError):
    """An argument is none of the values that are allowed. A ValueError, as Python code expects it, too."""
