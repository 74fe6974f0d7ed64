"""All errors that the engine raises on purpose.

Each message is one sentence that says what is wrong, where, what is allowed and what to do next.
"""


class LmmError(Exception):
    """Base of every error the engine raises on purpose."""


class FormulaError(LmmError):
    """The formula cannot be read, or names something that is not allowed."""


class DataError(LmmError):
    """The data do not have what the model needs."""


class FitError(LmmError):
    """The model cannot be estimated from these data."""


class ArgumentError(LmmError, ValueError):
    """An argument is none of the values that are allowed. A ValueError, as Python code expects it, too."""
