"""What of Snakemake's output the terminal shows: one line of progress, and what is said to a reader."""

import io

from lmmstudy.run.workflow import Terminal

OUTPUT = """\
one cannot be fitted to trial: 'y ~': a formula needs a term.
SNAKEMAKE
=========
  Date: 2026-11-29 10:00:13
  Working directory: /study
Building DAG of jobs...
Job stats:
job       count
------  -------
clean         1
total         2
Select jobs to execute...
Execute 1 jobs...

[Sun Nov 29 10:00:20 2026]
localrule clean:
    input: data/trial.csv
    reason: Missing output files
Job 1: Cleaning the raw data of trial
Reason: Missing output files: results/trial/clean.json
Finished jobid: 1 (Rule: clean)
1 of 2 steps (50%) done
Error in rule fit:
    log: logs/trial/fit.log
2 of 2 steps (100%) done
trial was not analysed: there is no file data/trial.csv.
The reports start at reports/index.html
Complete log(s): /study/.snakemake/log
"""
SAID = (
    "one cannot be fitted to trial: 'y ~': a formula needs a term.\nError in rule fit:\n"
    "trial was not analysed: there is no file data/trial.csv.\nThe reports start at reports/index.html\n"
)


class Tty(io.StringIO):
    def isatty(self):
        return True


def written(out):
    shown = Terminal(out)
    for line in OUTPUT.splitlines(keepends=True):
        shown.line(line)
    shown.end()
    return out.getvalue()


def test_a_file_gets_the_last_state_of_the_progress():
    assert written(io.StringIO()) == f"{SAID}2 of 2 jobs done (100 %)\n"


def test_a_terminal_gets_one_line_that_is_written_over():
    text = written(Tty())
    assert "\r1 of 2 jobs done (50 %)" in text and text.endswith("\r2 of 2 jobs done (100 %)\n")
    assert text.count("\n") == SAID.count("\n") + 1 and "Reason" not in text
