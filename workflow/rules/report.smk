rule report:
    input:
        parquet=rules.clean.output.parquet,
        audit=rules.clean.output.audit,
        records=candidate_files,
        selection=rules.select.output.selection,
    output:
        html=report(
            whole("<reports>/{dataset}.html"),
            caption="../report/dataset.rst",
            category="Datasets",
            labels={"dataset": "{dataset}"},
        ),
        # results.json and a CSV file for each table of the page
        data=directory("<reports>/{dataset}"),
    log:
        "<logs>/{dataset}/report.log",
    benchmark:
        "<benchmarks>/{dataset}/report.jsonl"
    localrule: True
    conda:
        "../envs/lmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime="10m",
    params:
        design=lambda wildcards: PLAN[wildcards.dataset]["report"],
        report=config["report"],
        code=CODE["report"],
    message:
        "Writing the report of {wildcards.dataset}"
    script:
        "../scripts/report.py"
