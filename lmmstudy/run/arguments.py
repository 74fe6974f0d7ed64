"""Which arguments `lmm run` hands on to Snakemake: those about how jobs are executed, and no others.

A run is compared with the last one and written down as a run of the whole study with its configuration. With
`--dry-run`, `--until`, `--config` and the like it would be something else, and what it says would not be
true. Snakemake's own parser reads the arguments, so abbreviations and profiles count as what they mean.
"""

import io
import os
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import yaml

from lmmcore.errors import DataError
from lmmstudy.base.text import shown

HONOURED = frozenset(
    """
    cores jobs local_cores resources set_threads max_threads set_resources set_resource_scopes
    default_resources preemptible_rules preemptible_retries executor groups group_components
    profile workflow_profile keep_going force forceall forcerun prioritize retries
    rerun_incomplete rerun_triggers max_checksum_file_size max_inventory_time latency_wait
    wait_for_free_local_storage queue_input_wait_time
    scheduler scheduler_greediness scheduler_subsample scheduler_solver_path scheduler_ilp_solver
    scheduler_ilp_solver_path scheduler_greedy_greediness scheduler_greedy_omit_prioritize_by_temp_and_input
    max_jobs_per_timespan max_jobs_per_second max_status_checks_per_second seconds_between_status_checks
    envvars jobname jobscript precommand job_deploy_sources shadow_prefix local_groupid
    software_deployment_method use_conda conda_prefix conda_base_path conda_frontend
    conda_not_block_search_path_envvars conda_cleanup_pkgs use_apptainer apptainer_prefix apptainer_args
    use_envmodules container_image wrapper_prefix
    default_storage_provider default_storage_prefix local_storage_prefix remote_job_local_storage_prefix
    shared_fs_usage keep_storage_local_copies
    printshellcmds nocolor verbose show_failed_logs debug_dag logger benchmark_extended runtime_profile
    """.split()
)
"""Options that change how the jobs of the whole study are executed, by their names in Snakemake's parser.

Those of executors (`--slurm-...`) are honoured too.
"""
OF_EXECUTORS = ("slurm_",)
PART = "`lmm run` brings the whole study up to date: for a part of it say `snakemake` yourself"
ADVICE = {
    "dryrun": "`lmm run` does what it plans: say `lmm why DATASET`, or `snakemake --dry-run` yourself",
    "config": "change the configuration file, or name another one with `lmm run --config FILE`",
    "configfile": "name the file with `lmm run --config FILE`",
    "directory": "go to the study's folder and say `lmm run` there",
    "quiet": "the ledger counts the jobs from what Snakemake prints: send the output elsewhere instead",
    "targets": PART,
    "until": PART,
    "omit_from": PART,
    "batch": PART,
    "allowed_rules": PART,
    "target_jobs": PART,
    "rerun_triggers": "without `input`, `mtime` and `params` changed data or settings would go unnoticed",
}
OTHERWISE = (
    "`lmm run` hands on what is about executing jobs (--cores, --jobs, --executor, --workflow-profile, "
    "--forceall, --retries, ...): for anything else say `snakemake` yourself"
)
NEEDED = {"input", "mtime", "params"}
"""Triggers without which a run would not notice what changed."""
IDLE = ("dryrun", "touch")
"""Executors that execute nothing."""
DEFAULT = Path("profiles", "default")


def check_arguments(arguments: Sequence[str], snakefile: Path) -> None:
    """Raise DataError, one sentence, for arguments or settings of a profile that `lmm run` cannot honour."""
    if arguments or os.environ.get("SNAKEMAKE_PROFILE") or not _is_plain(snakefile):
        _check(arguments, snakefile)


def _is_plain(snakefile: Path) -> bool:
    """Whether the default profile holds nothing to ask Snakemake's parser about, which takes a second."""
    for folder in {DEFAULT, snakefile.parent / DEFAULT}:
        for path in folder.glob("*.yaml"):
            try:
                keys = yaml.safe_load(path.read_text("utf-8"))
                names = {str(key).replace("-", "_") for key in keys}
                if not names <= HONOURED or not NEEDED <= set(keys.get("rerun-triggers", NEEDED)):
                    return False
            except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError):
                return False
    return True


def _check(arguments: Sequence[str], snakefile: Path) -> None:
    from snakemake.cli import get_argument_parser, parse_args

    told = io.StringIO()
    try:
        with redirect_stderr(told), redirect_stdout(told):
            ours = ["--snakefile", str(snakefile)]
            plain = vars(get_argument_parser().parse_args(ours))
            parser, given = parse_args([*ours, *arguments])
    except SystemExit as end:
        lines = told.getvalue().splitlines() or [""]
        last = lines[-1].rpartition("error: ")[2] if end.code else "it asks for help or the version alone"
        raise DataError(f"Snakemake does not run with {_quoted(arguments)}: {shown(last, 200)}.") from None
    except Exception as error:  # of a profile, which may be any file
        raise DataError(
            f"Snakemake does not run with {_quoted(arguments)}: {shown(str(error).split(chr(10))[0], 200)}."
        ) from None
    options = {action.dest: action.option_strings for action in parser._actions}
    for name, value in vars(given).items():
        if _differs(name, value, plain.get(name)):
            option = next(iter(options.get(name) or ()), "") or f"the target {_quoted(value)}"
            raise DataError(f"lmm run does not take {option}: {ADVICE.get(name, OTHERWISE)}.")


def _differs(name: str, value: Any, default: Any) -> bool:
    if name == "rerun_triggers":
        return not {str(trigger).rpartition(".")[2].lower() for trigger in value} >= NEEDED
    if name == "executor" and value in IDLE:
        return True
    if name in HONOURED or name.startswith(OF_EXECUTORS) or not (value or default):
        return False
    return value is None or default is None or value != default


def _quoted(arguments: Sequence[str]) -> str:
    return shown(" ".join(map(str, arguments)), 100)
