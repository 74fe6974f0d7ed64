"""Visits are bins of times."""

import numpy as np
import polars as pl
import pytest
from test_report_sample import rows as sample

from lmmstudy.clean import audit
from lmmstudy.clean.layout import Layout
from lmmstudy.report.refit.refit import profiles
from lmmstudy.report.refit.rows import Rows, visits
from lmmstudy.report.sections.means import raw_means


def ages(early: float) -> Rows:
    """10 children at ages 8, 10, 12, 14, up to `early` years early or late, each its own."""
    shift = early * np.sin(np.arange(40) * 1.7)
    subject = tuple(f"s{k // 4}" for k in range(40))
    return Rows(subject, ("all",) * 40, np.tile([8.0, 10, 12, 14], 10) + shift, np.arange(40.0), ("all",))


@pytest.mark.parametrize("early", [0.0, 0.05, 0.2])
def test_slightly_different_ages_are_the_same_visit(early):
    data = ages(early)
    assert visits(data).tolist() == [0, 1, 2, 3] * 10
    assert all(profile.joined[1:].all() for profile in profiles(data))
    (means,) = raw_means(data)
    assert means.rows.tolist() == [10] * 4
    np.testing.assert_allclose(means.x, [8, 10, 12, 14], atol=0.2)


def test_times_of_one_s_own_are_no_visits():
    data = ages(0.9)
    assert visits(data) is None and all(profile.joined[1:].all() for profile in profiles(data))


def test_a_visit_that_is_not_there_is_missed():
    """Those of every third subject in the sample end early; nobody has a gap, until one is made."""
    data = sample()
    keep = np.ones(data.time.size, dtype=bool)
    keep[2] = False
    subject, group = (tuple(np.array(v)[keep]) for v in (data.subject, data.group))
    less = Rows(subject, group, data.time[keep], data.response[keep], data.groups)
    assert sum(int((~profile.joined[1:]).sum()) for profile in profiles(data)) == 0
    assert sum(int((~profile.joined[1:]).sum()) for profile in profiles(less)) == 1


def test_times_near_each_other_that_a_subject_has_both_of_are_two_visits():
    """Rats weighed every 7 days and on days 43 and 44."""
    days = [1.0, 8, 15, 22, 29, 36, 43, 44, 50, 57, 64]
    subject = tuple(f"r{k // 11}" for k in range(44))
    data = Rows(subject, ("all",) * 44, np.tile(days, 4), np.arange(44.0), ("all",))
    assert visits(data).tolist() == list(range(11)) * 4
    (means,) = raw_means(data)
    assert means.x.tolist() == days and means.rows.tolist() == [4] * 11


@pytest.mark.parametrize(("early", "times"), [(0.0, [8, 10, 12, 14]), (0.2, [8, 10, 12, 14]), (0.9, [])])
def test_the_audit_counts_visits_by_the_same_rule(early, times):
    data = ages(early)
    table = pl.DataFrame({"id": data.subject, "age": data.time, "y": data.response})
    layout = Layout({"subject": "id", "time": "age", "response": "y", "covariates": []})
    found, seen = audit.visits(table, layout), audit.attrition(table, layout)
    np.testing.assert_allclose(found["times"], times, atol=0.2)
    assert [p["subjects"] for p in found["patterns"]] == ([10] if times else [])
    assert [row["subjects"] for row in seen] == [10] * len(times)
