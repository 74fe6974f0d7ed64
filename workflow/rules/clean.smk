rule clean:
    input:
        raw=raw_file,
    output:
        parquet=whole("<results>/{dataset}/clean.parquet"),
        audit=whole("<results>/{dataset}/clean.json"),
    log:
        "<logs>/{dataset}/clean.log",
    benchmark:
        "<benchmarks>/{dataset}/clean.jsonl"
    conda:
        "../envs/lmm.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 1000 * attempt,
        runtime=lambda wildcards, attempt: 2 * attempt,
    params:
        design=lambda wildcards: PLAN[wildcards.dataset]["clean"],
        code=CODE["clean"],
        raw=raw_content,
    message:
        "Cleaning the raw data of {wildcards.dataset}"
    script:
        "../scripts/clean.py"
