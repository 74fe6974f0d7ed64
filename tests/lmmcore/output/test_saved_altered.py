"""Saved fits that were cut off or altered: the same fit, or one sentence of our own; never anything else."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lmmcore as lmm
from lmmcore.output.saved import KEY
from tests.support.alterations import ODD, of_bytes, of_values, text_of


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A fit of twelve subjects at four times, and its file."""
    random = np.random.default_rng(3)
    subject, time = np.repeat(np.arange(12), 4), np.tile(np.arange(4.0), 12)
    y = 10 + random.normal(size=12)[subject] + time + random.normal(size=48)
    data = {"id": [f"s{k}" for k in subject], "t": time, "y": y, "arm": np.where(subject % 2, "a", "b")}
    fit = lmm.fit("y ~ t * arm + (1 | id)", data, residual=lmm.AR1("t"), variance=lmm.ByGroup("arm"))
    path = tmp_path_factory.mktemp("saved") / "fit.lmm"
    fit.save(path)
    return fit, path


def refused_or_equal(fit, path, name):
    """Load `path`: whatever its content, no other error than ours and no other fit than the saved one."""
    try:
        again = lmm.load(path)
    except lmm.LmmError as error:
        text = str(error)
        assert len(text) < 500 and "\n" not in text, (name, text)
        return False
    assert again.loglik == pytest.approx(fit.loglik, abs=1e-8), name
    assert again.beta == pytest.approx(fit.beta, rel=1e-8), name
    assert again.ranef()["estimate"].to_list() == pytest.approx(fit.ranef()["estimate"].to_list()), name
    assert again.ranef()["level"].to_list() == fit.ranef()["level"].to_list(), name
    return True


def test_bytes(saved, tmp_path):
    fit, path = saved
    other = tmp_path / "fit.lmm"
    for name, content in of_bytes(path.read_bytes(), step=29):
        other.write_bytes(content)
        refused_or_equal(fit, other, name)


def test_metadata(saved, tmp_path):
    """Each part of the metadata as something else, or away."""
    fit, path = saved
    table, other = pq.read_table(path), tmp_path / "fit.lmm"
    about = json.loads(table.schema.metadata[KEY])
    for name, value in of_values(about):
        write(table, text_of(value), other)
        assert not refused_or_equal(fit, other, name), name
    for text in ("", "{", "[" * 100_000, '{"format": 2, "format": 2}', text_of(about) + "x"):
        write(table, text, other)
        assert not refused_or_equal(fit, other, text[:20])


def write(table, text, path):
    metadata = {KEY: text.encode("utf-8", "surrogatepass")}
    pq.write_table(table.replace_schema_metadata(metadata), path)


def columns_of(table):
    """Each column shifted, permuted, of another type, with a missing value, away, or twice."""
    for place, name in enumerate(table.column_names):
        values = table.column(name).to_numpy()
        for shift in (-5, -1, 1, 5, 10**6):
            yield f"{name} + {shift}", table.set_column(place, name, pa.array(values + shift))
        yield f"{name} reversed", table.set_column(place, name, pa.array(values[::-1]))
        yield f"{name} NaN", table.set_column(place, name, pa.array(np.full(len(values), np.nan)))
        yield f"{name} inf", table.set_column(place, name, pa.array(np.full(len(values), np.inf)))
        yield f"{name} null", table.set_column(place, name, pa.array([None, *values[1:].tolist()]))
        yield f"{name} text", table.set_column(place, name, pa.array([str(value) for value in values]))
        yield f"{name} float32", table.set_column(place, name, pa.array(values.astype(np.float32)))
        yield f"{name} lists", table.set_column(place, name, pa.array([[value] for value in values.tolist()]))
        yield f"{name} away", table.drop_columns([name])
        yield f"{name} twice", table.append_column(name, table.column(name))
        yield f"{name} renamed", table.rename_columns([n if n != name else "odd" for n in table.column_names])


def test_columns(saved, tmp_path):
    fit, path = saved
    table, other = pq.read_table(path), tmp_path / "fit.lmm"
    altered = [*columns_of(table), ("fewer rows", table.slice(4)), ("no rows", table.slice(0, 0))]
    for name, changed in altered:
        pq.write_table(changed.replace_schema_metadata(table.schema.metadata), other)
        assert not refused_or_equal(fit, other, name), name
    pq.write_table(table, other, compression="zstd", use_dictionary=False)
    assert refused_or_equal(fit, other, "packed otherwise")


def test_what_is_no_file(saved, tmp_path):
    for path in (tmp_path, tmp_path / "x" / "y"):
        with pytest.raises(lmm.DataError):
            lmm.load(path)


def test_a_log_likelihood_that_is_none_is_refused(saved, tmp_path):
    """It is not part of the checksum, since fitting again tells whether it is right."""
    fit, path = saved
    table = pq.read_table(path)
    about = json.loads(table.schema.metadata[KEY])
    for odd in (*ODD, about["loglik"] * (1 + 1e-6)):
        write(table, text_of(about | {"loglik": odd}), tmp_path / "fit.lmm")
        assert not refused_or_equal(fit, tmp_path / "fit.lmm", f"loglik {odd!r}")
