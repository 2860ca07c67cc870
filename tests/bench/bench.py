"""./dev bench: how fast pgsluice is, and next to what."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import first  # noqa: E402
import programs  # noqa: E402
from kafka import Unavailable  # noqa: E402


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("sections", nargs="*", help="first (default: all)")
    options = parser.parse_args()
    return options


def on_terminate(signum: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + signum)


def main() -> int:
    parse_arguments()
    signal.signal(signal.SIGTERM, on_terminate)
    missing = programs.missing()
    if missing:
        print(f"bench: {missing[0]} was not built: run ./dev build", file=sys.stderr)
        return 1
    try:
        first.show()
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except (AssertionError, RuntimeError, OSError, Unavailable) as error:
        print(f"\nbench failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
