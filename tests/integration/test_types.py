"""Our binary encoders against PostgreSQL's own input functions, over listed and random values."""

import os
import subprocess
from pathlib import Path

import pytest
from postgres import Postgres

DIFFERENTIAL = Path(os.environ["PGSLUICE_SUPPORT_DIR"]) / "types_differential"
RANDOM_VALUES = os.environ.get("TYPES_VALUES", "2000")
SEED = os.environ.get("TYPES_SEED", "1")


@pytest.mark.limit(280)
def test_what_we_encode_is_what_postgresql_reads(database: Postgres) -> None:
    subprocess.run(
        [str(DIFFERENTIAL), RANDOM_VALUES, SEED], env={**os.environ, **database.env}, check=True
    )
