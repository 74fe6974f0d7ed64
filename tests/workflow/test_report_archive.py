"""`snakemake --report` of a finished study: every page is in it, with caption, category and labels."""

import json
import re
import zipfile


def test_the_archive_holds_every_page_with_what_is_said_of_it(study):
    run = study.snakemake("--report", "report.zip")
    assert run.status == 0, run.text
    with zipfile.ZipFile(study.folder / "report.zip") as archive:
        pages = {name.rsplit("/", 1)[1]: name for name in archive.namelist() if name.endswith(".html")}
        made = {path.name: path.read_bytes() for path in (study.folder / "reports").glob("*.html")}
        assert set(made) == {"alpha.html", "beta.html", "index.html", "compare.html"}
        for name, content in made.items():
            assert archive.read(pages[name]) == content
        frame = archive.read("report/report.html").decode()
    entry = r'"reports/([\w.]+)": \{"name": "[^"]+", "filename": "[^"]+", "labels": (\{[^}]*\})'
    told = {name: json.loads(labels) for name, labels in re.findall(entry, frame)}
    assert told["alpha.html"] == {"dataset": "alpha"} and told["index.html"] == {"page": "all datasets"}
    assert told["compare.html"] == {"page": "datasets side by side"}
    assert "The analysis of <strong>beta</strong>" in frame
    assert "Its 3 candidates were compared by AIC." in frame and "side by side: the answer" in frame
    assert '"Datasets"' in frame and '"Overview"' in frame
