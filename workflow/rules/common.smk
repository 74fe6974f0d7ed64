"""What all rules share: the checked config, the names it gives, the fingerprints of the code."""

import re
import sys
from pathlib import Path

ROOT = (
    Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
    .resolve()
    .parents[1]
)
sys.path.insert(0, str(ROOT))

from lmmstudy.config.study import ConfigError, place, plan, study
from lmmstudy.base.files import file_sha256
from lmmstudy.base.fingerprint import fingerprints
from lmmstudy.run.outcome import announce, unfinished_index
from lmmstudy.config.places import usable
from lmmstudy.base.project import PACKAGES
from lmmstudy.config.problems_formulas import problems_of_formulas

# Read here and not by `configfile:`, which would evaluate templates in it.
# Each configuration has folders of its own.
AT = place(config, workflow.overwrite_configfiles)
try:
    config = study(config, workflow.overwrite_configfiles)
except ConfigError as problems:
    sys.exit(str(problems))

# PLAN holds for each job what it depends on and no more. Rules take it by its keys: `lookup` walks through all of
# it for every job, which at 1,000 datasets is minutes.
PLAN = plan(config)
CODE = fingerprints((ROOT / "workflow" / "scripts").glob("*.py"), PACKAGES)
DATASETS = sorted(config["datasets"])
if workflow.is_main_process:
    # Such a candidate has no estimate, and everything else goes on.
    for problem in problems_of_formulas(PLAN):
        print(problem, file=sys.stderr)
MODELS = sorted(config["models"])
PAIRS = [(dataset, model) for dataset in DATASETS for model in PLAN[dataset]["fit"]]
FITS = {"dataset": [d for d, _ in PAIRS], "model": [m for _, m in PAIRS]}


wildcard_constraints:
    dataset="|".join(map(re.escape, DATASETS)),
    model="|".join(map(re.escape, MODELS)),


# Whether files live in an object storage: then they are not, or not yet, where the rules could look at them.
REMOTE = bool(workflow.storage_settings.default_storage_provider)


def whole(path):
    """An output that must not be empty. Not asked of an object storage, where it would be before the upload."""
    return path if REMOTE else ensure(path, non_empty=True)


def raw_file(wildcards):
    """The raw file, or nothing while it cannot be read: then `clean` says so and the others go on."""
    path = config["datasets"][wildcards.dataset]["path"]
    return path if REMOTE or usable(path) else []


def raw_content(wildcards):
    """The raw file's SHA-256: a new content counts whatever its file time, which copies often keep."""
    path = config["datasets"][wildcards.dataset]["path"]
    return file_sha256(path) if usable(path) else ""


def candidate_files(wildcards):
    """The records of the dataset's candidates, in the order of the config."""
    candidates = config["datasets"][wildcards.dataset]["candidates"]
    return collect("<results>/{{dataset}}/models/{model}.json", model=candidates)
