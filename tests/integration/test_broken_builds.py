"""The mistakes of ./dev chaos --broken fit the sources as they are, so that it can build them."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "chaos"))

from broken import BROKEN  # noqa: E402


@pytest.mark.parametrize("broken", BROKEN, ids=lambda broken: broken.name)
def test_a_mistake_can_be_made(broken):
    """Whoever changes such a place changes tests/chaos/broken.py with it."""
    texts = {r.file: (ROOT / r.file).read_text() for r in broken.replacements}
    for replacement in broken.replacements:
        texts[replacement.file] = replacement.applied(texts[replacement.file])
