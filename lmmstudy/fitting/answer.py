"""What an answer to a study's question is made of."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]
NONE: Json = {
    "kind": "",
    "name": "",
    "problem": "",
    "estimates": [],
    "joint": None,
    "means": [],
    "slopes": [],
    "pairs": [],
    "pairs_note": "",
    "note": "",
    "margin": None,
}
"""An answer that says nothing. estimates : the contrast with its test and its `weights` of the coefficients;
joint : the test of several at once, instead; means, slopes, pairs : of the groups; note : what was averaged
and held; problem : why there is no answer."""


def key(found: Mapping[str, Any]) -> Json | None:
    """The one row that stands for an answer: its contrast, else its joint test, else None."""
    if found["joint"] is not None:
        return {"name": found["name"], **found["joint"]}
    return found["estimates"][0] if len(found["estimates"]) == 1 else None
