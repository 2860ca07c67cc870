"""What a chaos run says on the terminal: one line for each fault, and what it came to."""

from __future__ import annotations

import sys

from broken import Outcome
from checker import Findings
from fleet import Fleet
from nemesis import Landed, Toll

KIND_WIDTH = 26
DETAIL_WIDTH = 160
TALLY_COLUMNS = 3


class Style:
    """Colours on a terminal, none elsewhere."""

    def __init__(self) -> None:
        on = sys.stdout.isatty()
        self.dim, self.bold, self.red, self.green, self.off = (
            ("\033[2m", "\033[1m", "\033[31m", "\033[32m", "\033[0m") if on else ("",) * 5
        )


STYLE = Style()


def say(text: str = "") -> None:
    print(text, flush=True)


def heading(text: str) -> None:
    say(f"\n{STYLE.bold}{text}{STYLE.off}")


def landed(fault: Landed) -> None:
    lasts = f"  for {fault.lasts_s:.1f} s" if fault.lasts_s else ""
    say(
        f"{fault.at_s:7.1f} s  {fault.number:>4}  {fault.kind:<{KIND_WIDTH}}"
        f"{fault.detail}{STYLE.dim}{lasts}{STYLE.off}"
    )


def missed(kind: str, reason: str) -> None:
    say(f"{STYLE.dim}{'':10} {'':>4}  {kind:<{KIND_WIDTH}}did not land: {reason.splitlines()[0]}{STYLE.off}")


def tally(toll: Toll) -> None:
    """How often each kind has landed."""
    kinds = sorted(toll.kinds().items())
    cells = [f"{count:>4} {kind:<{KIND_WIDTH}}" for kind, count in kinds]
    rows = -(-len(cells) // TALLY_COLUMNS)
    for row in range(rows):
        say("  " + "".join(cells[row::rows]).rstrip())
    never = [kind for kind in toll.missed if kind not in toll.kinds()]
    if never:
        say(f"  never landed: {', '.join(sorted(never))}")


def totals(
    toll: Toll, found: Findings, records: int, letters: int, fleet: Fleet, took_s: float
) -> None:
    say(f"faults landed: {len(toll.landed)} of {len(toll.kinds())} kinds")
    say(f"records: {records:,}, dead letters among them: {letters:,}")
    snapshots = f"{found.snapshots}, {found.of_standby} of them of the standby"
    say(f"snapshots checked: {snapshots}; positions that went back: {found.rewinds}")
    for dispute in found.disputes:
        say(f"the log's readers disagreed, Kafka's own was believed: {dispute}")
    codes = ", ".join(f"{count} with {code}" for code, count in sorted(fleet.exits.items()))
    say(f"sinks started again: {fleet.restarts}" + (f", ended by themselves: {codes}" if codes else ""))
    say(f"memory: at most {fleet.excess_mib()} MiB above SINK_MEMORY_LIMIT")
    say(f"time: {took_s:.0f} s")


def verdict(violations: int, failures: list[str]) -> None:
    for failure in failures:
        say(f"{STYLE.red}failure: {failure}{STYLE.off}")
    colour = STYLE.red if violations else STYLE.green
    say(f"{STYLE.bold}{colour}violations: {violations}{STYLE.off}")


def broken(outcome: Outcome) -> None:
    """What became of a broken build."""
    name, mistake = outcome.build.name, outcome.build.mistake
    say(f"{name:<{KIND_WIDTH}}{mistake}")
    for detail in [outcome.violation] if outcome.violation else outcome.failures[:3]:
        say(f"{'':<{KIND_WIDTH}}{STYLE.dim}{detail[:DETAIL_WIDTH]}{STYLE.off}")


def broken_row(outcome: Outcome) -> None:
    """The same as a row of the table."""
    found = bool(outcome.violation)
    colour, word = (STYLE.green, "caught") if found else (STYLE.red, "NOT CAUGHT")
    say(
        f"  {outcome.build.name:<{KIND_WIDTH}}{colour}{word:<12}{STYLE.off}"
        f"{outcome.faults:>3} faults {outcome.snapshots:>4} snapshots {outcome.took_s:>5.0f} s"
    )
