"""Write the index of all reports."""

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.report.index import write_index

    write_index(
        datasets=snakemake.params.datasets,
        clean=list(snakemake.input.audits),
        selections=list(snakemake.input.selections),
        out=snakemake.output.html,
    )
