"""What a result was made from."""

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from lmmcore import __version__
from lmmstudy.base.files import file_sha256


def provenance(parquet: str, code: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """What a record was made from: data, the part of the config, code, versions."""
    packages = ("numpy", "scipy", "polars")
    return {
        "data_sha256": file_sha256(parquet),
        "config": config,
        "code": code,
        "versions": {
            "python": platform.python_version(),
            "lmmcore": __version__,
            **{package: version(package) for package in packages},
        },
    }
