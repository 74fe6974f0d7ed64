"""Linear mixed models for longitudinal studies: clean, fit, select, report.

The study is described in config/config.yaml; `snakemake --cores 8` brings every result up to date.
"""

from snakemake.utils import min_version

min_version("9.27")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"


pathvars:
    results=AT.results.as_posix(),
    reports=AT.reports.as_posix(),
    logs=AT.logs.as_posix(),
    benchmarks=(AT.logs / "benchmarks").as_posix(),


include: "workflow/rules/clean.smk"
include: "workflow/rules/fit.smk"
include: "workflow/rules/select.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/index.smk"


rule all:
    default_target: True
    input:
        # Results too: one that was deleted is made again, though its report is there.
        collect(
            "<results>/{dataset}/{file}",
            dataset=DATASETS,
            file=["clean.parquet", "clean.json", "selection.json"],
        ),
        collect("<results>/{dataset}/models/{model}.json", zip, **FITS),
        collect(["<reports>/{dataset}.html", "<reports>/{dataset}"], dataset=DATASETS),
        rules.index.output.html,
    localrule: True


onsuccess:
    announce(DATASETS, AT)


onerror:
    print(
        f"Some jobs failed. Each has its own file under {AT.logs}.", file=sys.stderr
    )
    unfinished_index(DATASETS, bool(SHARED), AT)
