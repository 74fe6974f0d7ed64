"""The log of a job: one line a fact, `time fact key=value ...`, easy to read and to search.

Logs are no results: they may hold the clock.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Any


def fact(what: str, **values: Any) -> None:
    """Write one line to standard error, which is the job's log. Values that are not plain words are JSON."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    print(moment, what, *(f"{key}={_shown(value)}" for key, value in values.items()), file=sys.stderr)


def _shown(value: Any) -> str:
    text = str(value)
    if isinstance(value, (int, float)) or (text and not set(text) & set(' "=\\') and text.isprintable()):
        return text
    return json.dumps(text, ensure_ascii=False)
