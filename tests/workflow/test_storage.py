"""Files in an object storage, which executors without a shared file system need; here it is a folder."""

import shutil

import pytest


@pytest.mark.skipif(not shutil.which("rsync"), reason="the plugin for folders needs rsync")
def test_a_study_whose_files_are_in_a_bucket_has_the_same_results(finished, tmp_path):
    study = finished.untouched(tmp_path / "study")
    bucket = tmp_path / "bucket"
    shutil.move(study.folder / "data", bucket / "data")
    run = study.snakemake("--default-storage-provider", "fs", "--default-storage-prefix", str(bucket))
    assert run.status == 0, run.text
    assert not study.results()
    for folder in ("results", "reports"):
        files = [path for path in (finished.folder / folder).rglob("*") if path.is_file()]
        assert len(files) > 6
        for path in files:
            if path.name not in ("README.md", ".snakemake_timestamp"):
                assert (bucket / path.relative_to(finished.folder)).read_bytes() == path.read_bytes(), path
