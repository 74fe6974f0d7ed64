"""Formula templates: filling in a dataset's columns, and the columns that a formula names."""

import re
from collections.abc import Mapping
from typing import Any

KEYS = ("response", "fixed", "subject", "time")
CONSTANTS = ("pi", "True", "False")


def fill(template: str, dataset: Mapping[str, Any]) -> str:
    """The template with `{response}`, `{fixed}`, `{subject}`, `{time}` replaced by the dataset's,
    nothing else.
    """
    return re.sub(rf"\{{({'|'.join(KEYS)})\}}", lambda match: str(dataset[match[1]]), template)


def columns_of(formula: str) -> list[str]:
    """Names in a formula that stand for columns, in order of appearance.

    A name followed by `(` is a function, one followed by `=` an argument's name, and text in
    backticks a column whatever it contains.
    """
    formula = re.sub(r"\"[^\"]*\"|'[^']*'", "''", formula)
    pattern = r"`([^`]+)`|(?<![\w.])([^\W\d][\w.]*)(?!\s*\()(?!\s*=(?!=))(?![\w.])"
    found = re.findall(pattern, formula)
    return list(dict.fromkeys(q or plain for q, plain in found if q or plain not in CONSTANTS))


def columns_used(dataset: Mapping[str, Any], models: Mapping[str, Any]) -> list[str]:
    """Subject, time, response, then the other columns of the dataset's candidates and its group, by name."""
    roles = [dataset["subject"], dataset["time"], dataset["response"]]
    formulas = [fill(models[model]["formula"], dataset) for model in dataset["candidates"]]
    named = {name for formula in formulas for name in columns_of(formula)}
    named |= {dataset["group"]} if "group" in dataset else set()
    return roles + sorted(named - set(roles))
