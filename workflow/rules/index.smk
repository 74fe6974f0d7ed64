rule index:
    input:
        audits=collect(rules.clean.output.audit, dataset=DATASETS),
        selections=collect(rules.select.output.selection, dataset=DATASETS),
    output:
        html=report(
            ensure("<reports>/index.html", non_empty=True),
            caption="../report/index.rst",
            category="Overview",
        ),
    log:
        "<logs>/index.log",
    benchmark:
        "<benchmarks>/index.jsonl"
    localrule: True
    conda:
        "../envs/lmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 500 * attempt,
        runtime="10m",
    params:
        datasets=DATASETS,
        code=lookup("index", within=CODE),
    message:
        "Writing the index of all reports"
    script:
        "../scripts/index.py"
