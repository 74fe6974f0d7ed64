"""Runs tests of the compiled loops with a library made elsewhere in the place of the installed one.

python tests/support/sanitized.py LIBRARY TEST...
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location

import pytest

NAME = "lmmcore.kernel._loops"

library, *tests = sys.argv[1:]
spec = spec_from_file_location(NAME, library)
assert spec is not None and spec.loader is not None
module = module_from_spec(spec)
spec.loader.exec_module(module)
sys.modules[NAME] = module

from lmmcore import kernel  # noqa: E402

assert kernel.loops is module
sys.exit(pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests]))
