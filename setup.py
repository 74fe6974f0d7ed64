"""What pyproject.toml cannot say: a wheel takes along the workflow, which stands beside the packages."""

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from lmmstudy.base.project import FILES, INSTALLED  # noqa: E402


class BuildWithWorkflow(build_py):
    """Copies FILES to where `lmmstudy.base.project` looks for them in an installation."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the checkout is used as it is
            return
        inside = Path(self.build_lib) / INSTALLED.relative_to(HERE)
        shutil.rmtree(inside, ignore_errors=True)
        for name in FILES:
            source, target = HERE / name, inside / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".*"))
            else:
                shutil.copy(source, target)


setup(cmdclass={"build_py": BuildWithWorkflow})
