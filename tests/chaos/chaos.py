"""`./dev chaos`: real servers, three replicas, faults, and a checker that compares all the while.

Everything follows from --seed except when things happen: the records, the order of the faults and
what each strikes at. The exit code is 0 when everything was delivered exactly once, 1 when not.

With --broken, builds with a mistake in them are run instead, each until the checker has caught it;
then the exit code is 0 when all were caught.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Sequence

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))

import broken  # noqa: E402
import broken_runs  # noqa: E402
import faults_kafka  # noqa: E402
import faults_network  # noqa: E402
import faults_postgres  # noqa: E402
import faults_sink  # noqa: E402
import faults_sql  # noqa: E402
import report  # noqa: E402
from kafka import Unavailable  # noqa: E402
from nemesis import FAULTS  # noqa: E402
from run import Options, Run  # noqa: E402
from servers import OUTER_MOUNTS, Servers, has_own_mounts, mounts  # noqa: E402
from sink import sink_program  # noqa: E402

FAULT_MODULES = (faults_kafka, faults_network, faults_postgres, faults_sink, faults_sql)
NO_KAFKA = 75


def run(options: Options, keep: bool, json_file: str | None) -> bool:
    """One run of the program as it is; whether nothing was found."""
    report.say(
        f"seed {options.seed}, {options.faults} faults of {len(options.kinds)} kinds,"
        f" {options.records:,} records, 3 replicas"
    )
    with Servers() as servers:
        a_run = Run(servers, options, f"chaos{options.seed}")
        try:
            fine = a_run.carry_out()
            a_run.explain()
            if not fine or keep:
                a_run.keep_logs(servers, f"seed-{options.seed}")
            if json_file:
                Path(json_file).write_text(json.dumps(a_run.result(), indent=2) + "\n")
            return fine
        finally:
            a_run.world.close()


def parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev chaos", description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", type=int, default=40, help="how many are to land")
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--seconds", type=float, default=math.inf, help="strike no longer than that")
    parser.add_argument("--kinds", help="only these kinds of fault: a,b,c")
    parser.add_argument("--brisk", action="store_true", help="faults last about their least")
    parser.add_argument("--list", action="store_true", help="name the kinds of fault, and stop")
    parser.add_argument("--any-memory", action="store_true", help="sanitizers need more of it")
    parser.add_argument("--keep", action="store_true", help="keep the logs even when all is well")
    parser.add_argument(
        "--broken", nargs="?", const="all", metavar="NAMES",
        help="run builds with a mistake instead, all or a,b,c: is each caught?",
    )  # fmt: skip
    parser.add_argument("--json", metavar="FILE", help="write the outcome there")
    return parser.parse_args(argv)


def chosen(kinds: str | None, any_memory: bool) -> list[str]:
    """Those that are named, or all; a sanitizer would report that there is no more memory."""
    names = kinds.split(",") if kinds else sorted(FAULTS)
    if any_memory and not kinds:
        names.remove("sink-out-of-memory")
    unknown = [name for name in names if name not in FAULTS]
    if unknown:
        raise SystemExit(f"no such kind of fault: {', '.join(unknown)}; --list names them")
    return names


def enter_own_mounts() -> None:
    """Start over where mounts are ours alone, so that the servers' file systems end with us."""
    argv = ["unshare", "--mount", sys.executable, "-B", *sys.argv]
    possible = ["unshare", "--mount", "mount", "-t", "tmpfs", "pgsluice", "/mnt"]
    if os.geteuid() == 0 and not has_own_mounts():
        if subprocess.run(possible, capture_output=True).returncode == 0:
            os.execvpe(argv[0], argv, {**os.environ, OUTER_MOUNTS: mounts()})


def main(argv: Sequence[str]) -> int:
    arguments = parse(argv)
    if arguments.list:
        for kind, fault in sorted(FAULTS.items()):
            doc = (fault.body.__doc__ or "").split("\n")[0]
            report.say(f"{kind:<{report.KIND_WIDTH}}{doc}")
        return 0
    enter_own_mounts()
    try:
        if arguments.broken:
            builds = broken.named(arguments.broken)
            return 0 if broken_runs.run(builds, arguments.seed) else 1
        sink_program()  # or it says that there is none
        kinds = chosen(arguments.kinds, arguments.any_memory)
        options = Options(arguments.seed, arguments.faults, arguments.records, kinds)
        options.strike_s = arguments.seconds
        options.any_memory = arguments.any_memory
        options.brisk = arguments.brisk
        return 0 if run(options, arguments.keep, arguments.json) else 1
    except Unavailable as reason:
        report.say(f"no real Kafka: {reason}")
        return NO_KAFKA


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
