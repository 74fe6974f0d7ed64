rule fit:
    input:
        parquet=rules.clean.output.parquet,
        audit=rules.clean.output.audit,
    output:
        record=whole("<results>/{dataset}/models/{model}.json"),
    log:
        "<logs>/{dataset}/models/{model}.log",
    benchmark:
        "<benchmarks>/{dataset}/models/{model}.jsonl"
    conda:
        "../envs/lmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 3 * attempt,
    params:
        design=lambda wildcards: PLAN[wildcards.dataset]["fit"][wildcards.model],
        code=CODE["fit"],
    message:
        "Fitting {wildcards.model} to {wildcards.dataset}"
    script:
        "../scripts/fit.py"
