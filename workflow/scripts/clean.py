"""Clean one raw file: the tidy table and the audit of what happened to every row."""

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.clean.clean import clean_file

    clean_file(
        dataset=snakemake.wildcards.dataset,
        raw=snakemake.input.raw or None,
        design=snakemake.params.design,
        code=snakemake.params.code,
        parquet=snakemake.output.parquet,
        audit=snakemake.output.audit,
    )
