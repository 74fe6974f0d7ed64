"""Where the project's own files are: its packages, and the workflow with all that running it again takes."""

from pathlib import Path

PACKAGES = Path(__file__).resolve().parents[2]
"""The folder that holds lmmcore and lmmstudy."""
FILES = (
    *("Snakefile", "workflow", "profiles", "automation"),
    *("pyproject.toml", "setup.py", "MANIFEST.in", "requirements.lock", "environment.yml", "Makefile"),
    *("README.md", "LICENSE"),
)
"""Files and folders beside the packages that an installation takes along (setup.py)."""
INSTALLED = PACKAGES / "lmmstudy" / "installed"
PROJECT = INSTALLED if INSTALLED.is_dir() else PACKAGES
"""The folder that holds FILES: the checkout, or their copy in an installation."""
