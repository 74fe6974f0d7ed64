"""Each configuration has folders of its own, however it is named."""

from itertools import combinations
from pathlib import Path

import pytest

from lmmstudy.base.folders import folders_of
from lmmstudy.config.study import ConfigError, load, place

NAMES = (
    *(
        "mystudy.yaml",
        "mystudy.yml",
        "mystudy",
        "config/mystudy.yaml",
        "../mystudy.yaml",
        "a/b.yaml",
        "a_b.yaml",
    ),
    *(
        "my study.yaml",
        "my_study.yaml",
        "my-study.yaml",
        "007",
        "1e3",
        "'q'.yaml",
        "my #1.yaml",
        "ß.yaml",
        "ss.yaml",
    ),
    *(
        "config.yaml",
        "config/config.yml",
        "config/other.yaml",
        "x" * 200 + ".yaml",
        "-.yaml",
        "..yaml",
        "a.b.yaml",
    ),
)


def test_the_folder_s_own_configuration_keeps_its_places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("config/config.yaml", "./config/config.yaml", "config/../config/config.yaml"):
        at = folders_of(name)
        assert [at.results, at.reports, at.logs, at.runs] == list(
            map(Path, ("results", "reports", "logs", "runs"))
        )
    assert folders_of(tmp_path / "config/config.yaml") == folders_of("config/config.yaml")


def test_a_plain_name_is_the_name_of_the_folder():
    assert folders_of("mystudy.yaml").results == Path("studies/mystudy/results")
    assert (
        folders_of("./mystudy.yaml") == folders_of(Path.cwd() / "mystudy.yaml") == folders_of("mystudy.yaml")
    )


def test_no_two_configurations_share_a_folder():
    roots = [folders_of(name).root for name in NAMES] + [
        folders_of(*pair).root for pair in combinations(NAMES, 2)
    ]
    assert len(set(roots)) == len(roots)
    for root in roots:
        assert root.parts[0] == "studies" and len(root.parts) == 2
        assert set(root.name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")


def test_lmm_run_and_snakemake_mean_the_same_folders():
    at = folders_of("mystudy.yaml")
    assert place({}, ["mystudy.yaml"]) == place({"study_config": "mystudy.yaml"}) == at
    assert place({"study_config": "runs/config.yaml", "study_folder": str(at.root)}) == at
    assert place({}) == place({"study_config": "x", "study_folder": "."}) == folders_of("config/config.yaml")


def test_a_raw_file_among_what_runs_make_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stanza = {
        "path": "studies/a/results/x.csv",
        "subject": "s",
        "response": "y",
        "fixed": "1",
        "candidates": ["m"],
    }
    with pytest.raises(ConfigError, match="is in studies, which holds what runs make and remove"):
        load({"datasets": {"d": stanza}, "models": {"m": {"formula": "y ~ 1 + (1 | s)"}}})
