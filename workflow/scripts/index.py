"""Write the index of all reports, and the page of datasets side by side where there are such."""

from pathlib import Path

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.report.compare import write_compare
    from lmmstudy.report.index import write_index

    names = snakemake.params.datasets
    folders = [str(Path(selection).parent) for selection in snakemake.input.selections]
    shared = snakemake.params.shared
    write_index(
        datasets=names,
        results=folders,
        pages=list(snakemake.input.pages),
        out=snakemake.output.html,
        compare=bool(shared),
    )
    if shared:
        write_compare(
            sets=shared,
            results=dict(zip(names, folders, strict=True)),
            conf_level=snakemake.params.conf_level,
            out=snakemake.output.compare,
        )
