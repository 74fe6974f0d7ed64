"""Write the report of one dataset."""

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.report.page import write_dataset

    write_dataset(
        dataset=snakemake.wildcards.dataset,
        clean_json=snakemake.input.audit,
        clean_parquet=snakemake.input.parquet,
        models=list(snakemake.input.records),
        selection_json=snakemake.input.selection,
        design=snakemake.params.design,
        report=snakemake.params.report,
        code=snakemake.params.code,
        out=snakemake.output.html,
    )
