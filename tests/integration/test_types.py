"""Our binary encoders against PostgreSQL's own input functions, over listed and random values."""

import os
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from postgres import Postgres  # noqa: E402

SUPPORT = Path(os.environ["PGSLUICE_SUPPORT_DIR"])
RANDOM_VALUES = os.environ.get("TYPES_VALUES", "2000")
SEED = os.environ.get("TYPES_SEED", "1")


def test_what_we_encode_is_what_postgresql_reads():
    with Postgres() as postgres:
        subprocess.run(
            [str(SUPPORT / "types_differential"), RANDOM_VALUES, SEED],
            env={**os.environ, **postgres.env},
            check=True,
            timeout=280,
        )
