"""Write the index of all reports, and the page of datasets side by side where there are such."""

from pathlib import Path

from binding import bind

if __name__ == "__main__":
    bind(snakemake)
    from lmmstudy.report.compare import write_compare
    from lmmstudy.report.index import write_index

    names, selections = snakemake.params.datasets, list(snakemake.input.selections)
    shared = snakemake.params.shared
    write_index(
        datasets=names,
        clean=list(snakemake.input.audits),
        selections=selections,
        out=snakemake.output.html,
        compare=bool(shared),
    )
    if shared:
        write_compare(
            sets=shared,
            results={name: str(Path(s).parent) for name, s in zip(names, selections, strict=True)},
            conf_level=snakemake.params.conf_level,
            out=snakemake.output.compare,
        )
