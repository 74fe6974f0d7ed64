from lmmstudy.config.comparable import shared

SHARED = shared(config["datasets"])
SIDE_BY_SIDE = {
    "compare": report(
        whole("<reports>/compare.html"),
        caption="../report/compare.rst",
        category="Overview",
        labels={"page": "datasets side by side"},
    )
}


rule index:
    input:
        audits=collect("<results>/{dataset}/clean.json", dataset=DATASETS),
        selections=collect("<results>/{dataset}/selection.json", dataset=DATASETS),
        # The index names no result before its report is there; what stands in the report is nothing to it.
        pages=ancient(collect("<reports>/{dataset}.html", dataset=DATASETS)),
    output:
        **(SIDE_BY_SIDE if SHARED else {}),
        html=report(
            whole("<reports>/index.html"),
            caption="../report/index.rst",
            category="Overview",
            labels={"page": "all datasets"},
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
        shared=SHARED,
        conf_level=config["report"]["conf_level"],
        code=CODE["index"],
    message:
        "Writing the index of all reports"
    script:
        "../scripts/index.py"
