"""Includes point one way: a file may include headers of its own floor and of those below it.

    base <- ops <- config <- pg <- decode <- dispatch <- kafka <- backfill <- command <- main

The floor of sink/pg/pool.c is pg, that of include/config.h and config_internal.h is config.
Run from the top of the tree; prints each include that goes up, or to no floor at all.
"""

import pathlib
import re
import sys

FLOORS = ["base", "ops", "config", "pg", "decode", "dispatch", "kafka", "backfill", "command", "main"]
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def floor_of(path):
    """The floor of a path below sink/ or include/, or None."""
    name = re.match("[a-z]*", path)[0]
    return FLOORS.index(name) if name in FLOORS else None


def wrong_includes(file, floor):
    for number, line in enumerate(file.read_text().splitlines(), start=1):
        included = INCLUDE.match(line)
        if not included:
            continue
        below = floor_of(included[1])
        if below is None:
            yield f'{file}:{number}: "{included[1]}" is on no floor'
        elif below > floor:
            yield f'{file}:{number}: {FLOORS[floor]} must not include "{included[1]}"'


def main():
    wrong = []
    for root in ("sink", "include"):
        for file in sorted(pathlib.Path(root).rglob("*.[ch]")):
            floor = floor_of(str(file.relative_to(root)))
            wrong += [f"{file}: on no floor"] if floor is None else wrong_includes(file, floor)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
