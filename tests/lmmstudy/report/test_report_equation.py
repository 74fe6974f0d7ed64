from xml.etree import ElementTree

from test_report_sample import record, rows

from lmmstudy.report.equation.equation import equation, index_words

NAMESPACE = "{http://www.w3.org/1998/Math/MathML}"


def lines(model) -> list[str]:
    """The text of each row of the equation."""
    root = ElementTree.fromstring(str(equation(model, "score")))
    return ["".join(row.itertext()) for row in root.find(f"{NAMESPACE}mtable")]


def test_the_equation_holds_the_numbers():
    model = record(rows())
    model["fixed"] = [
        row | {"std_error": 1.0, "estimate": b}
        for row, b in zip(model["fixed"], (60.5, -1.25, 0.5, 2), strict=True)
    ]
    assert lines(model) == [
        "scoreij=60.50−1.25weekij+0.50[arm = b]",
        "+2.00weekij·[arm = b]",
        "+b0i+b1iweekij+εij",
        "b0ib1i∼N(00,36.001.2001.2000.4900)",
        "εij∼N(0,9.000)",
    ]


def test_independent_effects_have_covariance_zero():
    model = record(rows())
    model["random"] = [row for row in model["random"] if row["term2"] is None]
    assert "b0ib1i∼N(00,36.00000.4900)" in lines(model)


def test_a_random_intercept_is_a_single_number():
    model = record(rows())
    model["random"] = [model["random"][0], model["random"][3]]
    assert "b0i∼N(0,36.00)" in lines(model)


def test_serial_correlation():
    serial = {"type": "ar1", "time": "week", "subject": "id", "nugget": False}
    model = record(rows()) | {"residual_structure": serial, "residual_parameters": {"rho": 0.4256}}
    assert lines(model)[-2:] == ["εi∼N(0,9.000Ri)", "Rjk=0.426|tj−tk|"]
    assert lines(model | {"residual_parameters": {"rho": -0.2}})[-1] == "Rjk=(−0.200)|tj−tk|"
    alone = model | {"random": model["random"][-1:]}
    assert "b0i" not in "".join(lines(alone))
    assert index_words(alone, "id", "week") == "i = id, j = row within id (in order of week)."


def test_names_are_escaped():
    model = record(rows())
    model["fixed"][1]["term"] = "<img src=x onerror=alert(2)>"
    assert "<img" not in equation(model, "</math><script>alert(1)</script>")
    assert "<script>" not in equation(model, "</math><script>alert(1)</script>")
