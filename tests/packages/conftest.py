"""What is shipped, tried where it is to run: by `./dev package` and `./dev image`, as root."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

from fixtures import kafka1, names, postgres, pytest_configure, pytest_runtest_call  # noqa: E402

__all__ = ["kafka1", "names", "postgres", "pytest_configure", "pytest_runtest_call"]
