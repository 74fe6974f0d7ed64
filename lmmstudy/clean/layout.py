"""The columns of a dataset and what each is for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from lmmstudy.base.text import label


@dataclass(frozen=True)
class Layout:
    """The columns of a dataset; `design` is its `clean` part of `lmmstudy.config.study.plan`."""

    design: Mapping[str, Any]

    @property
    def subject(self) -> str:
        return self.design["subject"]

    @property
    def time(self) -> str | None:
        """None where the data have no time."""
        return self.design.get("time")

    @property
    def response(self) -> str:
        return self.design["response"]

    @property
    def group(self) -> str | None:
        return self.design.get("group")

    @property
    def columns(self) -> list[str]:
        """Subject, time, response, then the covariates by name."""
        time = [] if self.time is None else [self.time]
        return [self.subject, *time, self.response, *self.design["covariates"]]

    @property
    def key(self) -> list[str]:
        """The columns that tell rows apart: subject, time and occasion, as far as the dataset has them."""
        return [self.subject, *(self.design[role] for role in ("time", "occasion") if role in self.design)]

    @property
    def wide(self) -> Mapping[str, float]:
        """The columns that hold the response, each with its time; none in a file with a row a measurement."""
        return self.design.get("wide", {})

    @property
    def raw_columns(self) -> list[str]:
        """The columns that the raw file must have."""
        if not self.wide:
            return self.columns
        return list(dict.fromkeys([self.subject, *self.design["covariates"], *self.wide]))

    @property
    def categories(self) -> Mapping[str, list[str]]:
        """The levels named in the config, as the text they have in the clean table."""
        named = self.design.get("categories", {})
        return {column: [label(level) for level in levels] for column, levels in named.items()}

    def within(self, frame: pl.DataFrame) -> "Layout":
        """The layout without the covariates that `frame` lacks."""
        there = [column for column in self.design["covariates"] if column in frame.columns]
        return Layout({**self.design, "covariates": there})

    def role(self, column: str) -> str:
        """`subject`, `time`, `response` or `covariate`."""
        roles = {self.subject: "subject", self.time: "time", self.response: "response"}
        return roles.get(column, "covariate")

    def empty(self) -> pl.DataFrame:
        """A clean table without rows."""
        texts = {self.subject, self.group, *self.categories}
        return pl.DataFrame(
            schema={column: pl.String if column in texts else pl.Float64 for column in self.columns}
        )
