"""Compare the candidates for one dataset and name the one selected."""

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.fitting.selection import select_model

    select_model(
        dataset=snakemake.wildcards.dataset,
        parquet=snakemake.input.parquet,
        audit=snakemake.input.audit,
        records=list(snakemake.input.records),
        design=snakemake.params.design,
        code=snakemake.params.code,
        out=snakemake.output.selection,
    )
