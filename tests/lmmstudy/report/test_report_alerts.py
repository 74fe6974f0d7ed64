from dataclasses import replace

import numpy as np
from test_report_sample import study, without_model

from lmmcore.diagnostics.qq import quantiles
from lmmstudy.report.alerts import MOST, alerts, complete_subjects, zero_terms


def texts(whole) -> list[str]:
    return [alert.text for alert in alerts(whole)]


def changed(whole, **values):
    return replace(whole, models={"random_slope": whole.winner | values})


def test_what_holds_is_said_with_its_numbers():
    assert texts(study()) == [
        "3 of 55 rows (5.5%) were not used",
        "1 visit entered twice with different values",
        "1 value outside the stated range",
        "Left out: broken (does not apply to these data)",
    ]


def test_a_variance_of_zero_and_a_correlation_of_one():
    whole = study()
    random = [dict(row) for row in whole.winner["random"]]
    random[1] |= {"sd": 1e-9, "covariance": 1e-18}
    random[2] |= {"correlation": -1.0}
    model = changed(whole, random=random, status="singular")
    assert zero_terms(model.winner) == {"id": ["week"]}
    assert texts(model)[:2] == [
        "The variance of the random slope of week for id is 0",
        "The correlation of Intercept and week is −1.000",
    ]


def test_few_levels_and_no_convergence():
    model = changed(study(), groups={"id": 5}, status="not_converged")
    assert texts(model)[:2] == [
        "The selected model did not converge",
        "id has 5 levels (fewer than 6): its variance is poorly known",
    ]


def test_incomplete_subjects_count_only_on_a_common_schedule():
    whole = study()
    assert complete_subjects(whole) == (8, 12)
    times = np.arange(whole.rows.time.size) * 0.1
    scattered = replace(whole, rows=replace(whole.rows, time=times))
    assert complete_subjects(scattered) == (0, 0)
    near = whole.rows.time + 0.1 * np.sin(np.arange(whole.rows.time.size))  # 2 apart, up to 0.1 early or late
    assert complete_subjects(replace(whole, rows=replace(whole.rows, time=near))) == (8, 12)


def test_close_candidates():
    whole = study()
    ladder = [
        step | {"delta": d} for step, d in zip(whole.selection["ladder"], (0.0, 1.25, None), strict=True)
    ]
    near = replace(whole, selection=whole.selection | {"ladder": ladder})
    assert "The second-best candidate is only 1.25 behind (less than 2)" in texts(near)


def test_residuals_outside_the_envelope():
    whole = study()
    skewed = quantiles(np.random.default_rng(0).exponential(size=52) ** 2, "residuals")
    found = replace(whole.fitted.diagnostics, quantiles=skewed)
    text = texts(replace(whole, fitted=replace(whole.fitted, diagnostics=found)))[-1]
    assert text == f"{skewed.outside} of 52 residuals lie outside the band of a normal sample (10% or more)"


def test_a_unit_that_moves_the_estimate_is_named():
    """0.5 with a standard error of 0.25 becomes 0.8 without the second unit."""
    whole = study()
    deletion = whole.fitted.diagnostics.deletion
    without = np.full_like(deletion.without, 0.5)
    without[1] = 0.8
    found = replace(whole.fitted.diagnostics, deletion=replace(deletion, without=without))
    assert texts(replace(whole, fitted=replace(whole.fitted, diagnostics=found)))[-1] == (
        "Without id P002 the estimate of week:arm[T.b] moves by more than 1 standard error"
    )


def test_degrees_of_freedom_in_conflict():
    words = "Degrees of freedom depend on whether the boundary is known or estimated"
    assert words in texts(changed(study(), df_conflict="The variance is 0."))


def test_at_most_seven_the_gravest_first():
    whole = study()
    random = [dict(row) for row in whole.winner["random"]]
    random[1] |= {"sd": 0.0, "covariance": 0.0}
    random[2] |= {"correlation": 1.0}
    ladder = [
        step | {"delta": d} for step, d in zip(whole.selection["ladder"], (0.0, 1.0, None), strict=True)
    ]
    bad = changed(whole, groups={"id": 2}, status="not_converged", random=random)
    bad = replace(bad, selection=whole.selection | {"ladder": ladder})
    assert len(texts(bad)) == MOST and texts(bad)[0] == "The selected model did not converge"
    assert "The second-best candidate" not in " ".join(texts(bad))


def test_no_alert_without_a_reason():
    whole = without_model(study())
    clean = whole.clean | {
        "rows": {"read": 52, "used": 52, "dropped": {}},
        "out_of_range": [],
        "duplicates": {"policy": "stop", "identical": [], "conflicting": []},
    }
    assert alerts(replace(whole, clean=clean, selection=whole.selection | {"ladder": []})) == ()


def test_intervals_that_rest_on_next_to_nothing():
    whole = study()
    fixed = [dict(row) for row in whole.winner["fixed"]]
    fixed[1]["df"] = 0.4
    bands = tuple(replace(b, weak=np.arange(b.x.size) < 2) for b in whole.fitted.bands)
    weak = replace(changed(whole, fixed=fixed), fitted=replace(whole.fitted, bands=bands))
    first, second = texts(weak)[:2]
    assert first.startswith("Fewer than 2 degrees of freedom") and "week (0.40)" in first
    times = sum(b.x.size for b in bands)
    share = f"{2 * len(bands)} of {times} times"
    assert second == f"Intervals for a new id rest on 2 degrees of freedom at {share}: they are rough"


def test_ids_that_look_alike_or_are_none_are_named():
    whole = study()
    audit = {"lookalikes": [{"column": "id", "values": ["S1", "S1\u200b"]}], "odd_ids": ["Total"]}
    said = texts(replace(whole, clean=whole.clean | audit))
    assert r"id has values that look alike and differ: 'S1' and 'S1\u200b'" in said
    assert "id has an id that breaks the pattern of the others: 'Total'" in said


def test_a_curve_over_time_that_the_model_lacks_is_an_alert():
    whole = study()
    said = {p: texts(replace(whole, fitted=replace(whole.fitted, bend=p))) for p in (None, 0.01, 1e-6)}
    bends = {p: [t for t in found if t.startswith("The mean bends over week")] for p, found in said.items()}
    assert bends[None] == bends[0.01] == [] and len(bends[1e-6]) == 1
