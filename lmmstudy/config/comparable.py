"""Which datasets can stand side by side. Light: every process of a run parses the Snakefile, which asks."""

from collections.abc import Mapping
from typing import Any

SAME = ("response", "time", "group", "fixed")
"""Keys of a stanza that datasets side by side have in common: estimates compare in the same units alone."""


def shared(datasets: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Sets of comparable datasets of a configuration, each {"datasets", "models", and the keys of SAME}.

    `models` are the candidates that at least two of them have. Sets and datasets go by name, models by their
    place among the candidates.
    """
    sets: dict[tuple[Any, ...], list[str]] = {}
    for name in sorted(datasets):
        sets.setdefault(tuple(datasets[name].get(key) for key in SAME), []).append(name)
    found = []
    for key, names in sets.items():
        candidates = [model for name in names for model in datasets[name]["candidates"]]
        models = [model for model in dict.fromkeys(candidates) if candidates.count(model) > 1]
        if models:
            found.append({"datasets": names, "models": models, **dict(zip(SAME, key, strict=True))})
    return found
