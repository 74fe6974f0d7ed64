rule fit:
    input:
        parquet=rules.clean.output.parquet,
        audit=rules.clean.output.audit,
    output:
        record=ensure("<results>/{dataset}/models/{model}.json", non_empty=True),
    log:
        "<logs>/{dataset}/models/{model}.log",
    benchmark:
        "<benchmarks>/{dataset}/models/{model}.jsonl"
    conda:
        "../envs/lmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime="30m",
    params:
        design=lookup("{dataset}/fit/{model}", within=PLAN),
        code=lookup("fit", within=CODE),
    message:
        "Fitting {wildcards.model} to {wildcards.dataset}"
    script:
        "../scripts/fit.py"
