"""Fit one candidate model to one clean dataset and record the outcome, whatever it is."""

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.fitting.candidate import fit_candidate

    fit_candidate(
        dataset=snakemake.wildcards.dataset,
        model=snakemake.wildcards.model,
        parquet=snakemake.input.parquet,
        audit=snakemake.input.audit,
        design=snakemake.params.design,
        code=snakemake.params.code,
        out=snakemake.output.record,
        replay=snakemake.log[0].removesuffix(".log") + ".replay.zip",
    )
