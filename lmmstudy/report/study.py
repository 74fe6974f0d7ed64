"""Everything a report is made from, read once and handed to every section."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lmmstudy.report.refit.refit import Fitted
from lmmstudy.report.refit.rows import Rows

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """The results of one dataset. `rows` is None where the data could not be cleaned, `fitted` where no
    model was selected or the refit failed (`trouble` then says why)."""

    dataset: str
    clean: Json
    models: Mapping[str, Json]
    selection: Json
    design: Json
    options: Json
    code: str
    rows: Rows | None
    fitted: Fitted | None
    trouble: str = ""

    @property
    def lost(self) -> dict[str, str]:
        """{what: reason} of what the refit could not work out."""
        return self.fitted.lost if self.fitted else {}

    @property
    def winner(self) -> Json | None:
        """The JSON of the selected model."""
        return self.models.get(self.selection.get("selected") or "")

    @property
    def response(self) -> str:
        return str(self.design["response"])

    @property
    def subject(self) -> str:
        return str(self.design["subject"])

    @property
    def time(self) -> str:
        """The column of the times, "" in data without a time."""
        return str(self.design.get("time") or "")

    @property
    def time_label(self) -> str:
        """Title of the time axis."""
        return str(self.design.get("time_label") or self.time)

    @property
    def response_label(self) -> str:
        """Title of the response axis."""
        return str(self.design.get("response_label") or self.response)

    @property
    def group(self) -> str:
        """Name of the grouping column of the design (arm, treatment), or ""."""
        return str(self.design.get("group") or "")

    @property
    def conf_level(self) -> float:
        return float(self.options["conf_level"])

    def levels(self, column: str) -> tuple[str, ...]:
        """Levels of a category column in the order of the configuration, else of the audit; () for a
        number."""
        named = (self.design.get("categories") or {}).get(column)
        if named:
            return tuple(str(v) for v in named)
        found = [c for c in self.clean.get("columns", ()) if c["name"] == column]
        return tuple(str(v) for v in (found[0].get("levels") or {})) if found else ()

    @property
    def all_levels(self) -> dict[str, Sequence[str]]:
        """Levels of every column of the audit."""
        return {c["name"]: self.levels(c["name"]) for c in self.clean["columns"]}
