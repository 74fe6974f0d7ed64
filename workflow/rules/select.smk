rule select:
    input:
        parquet=rules.clean.output.parquet,
        audit=rules.clean.output.audit,
        records=candidate_files,
    output:
        selection=whole("<results>/{dataset}/selection.json"),
    log:
        "<logs>/{dataset}/select.log",
    benchmark:
        "<benchmarks>/{dataset}/select.jsonl"
    localrule: True
    conda:
        "../envs/lmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime="10m",
    params:
        design=lambda wildcards: PLAN[wildcards.dataset]["select"],
        code=CODE["select"],
    message:
        "Comparing the candidates for {wildcards.dataset}"
    script:
        "../scripts/select.py"
