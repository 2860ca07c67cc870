"""What ./dev bench makes of what it has measured: no server is needed for that."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))

import docs  # noqa: E402
import goals  # noqa: E402
import growth  # noqa: E402
import interleave  # noqa: E402
import latency  # noqa: E402
import pytest  # noqa: E402
import run  # noqa: E402
from canary import Beat  # noqa: E402
from interleave import Round, Turns  # noqa: E402
from run import Run, Sample  # noqa: E402

CALM, BUSY = Beat(1.0, 1.0), Beat(1.0, 1.5)


def sample(at_s: float, rows: int, cpu_s: float = 0.0) -> Sample:
    return Sample(at_s, rows, cpu_s, 0.0, 0.0)


def made(subject: str, seconds: float, cpu_s: float = 1.0, **fields: object) -> Run:
    return Run(subject, rows=1_000_000, seconds=seconds, cpu_s=cpu_s, **fields)  # type: ignore[arg-type]


def turns_of(*pairs: tuple[Run, ...], beats: tuple[Beat, ...] = ()) -> Turns:
    """Rounds of these runs between calm canaries, or these."""
    each = beats or (CALM,) * (len(pairs) + 1)
    rounds = [
        Round(each[i], {run.subject: run for run in pair}, each[i + 1]) for i, pair in enumerate(pairs)
    ]
    return Turns(rounds, wanted=len(pairs))


# --- Runs ---------------------------------------------------------------------------------------


def test_the_worst_second_is_found_wherever_it_lies() -> None:
    steady = [sample(s / 10, 100 * s) for s in range(1, 51)]
    stalled = [sample(s.at_s + (1.0 if s.rows > 2500 else 0.0), s.rows) for s in steady]
    assert run.worst_window(steady, 5000, 1.0) == pytest.approx(1.0)
    assert run.worst_window(stalled, 5000, 1.0) < 0.5


def test_a_short_run_has_no_worst_second() -> None:
    assert run.worst_window([sample(0, 1), sample(2, 100)], 100, 1.0) is None


def test_a_settled_rate_leaves_out_start_and_end() -> None:
    samples = [sample(0, 0), sample(10, 100, 5), sample(11, 500, 6), sample(12, 900, 7), sample(60, 1000, 9)]
    settled = run.settle(samples)
    assert settled is not None
    assert settled.rate == pytest.approx(400)
    assert settled.cpu_per_million == pytest.approx(2 * 1e6 / 800)


def test_who_warms_up_is_told_when_warm() -> None:
    cold = [sample(s, 10 * s) for s in range(30)]
    warm = [sample(30 + s, 300 + 50 * s) for s in range(15)]
    settled = run.settle([*cold, *warm], warm_up_s=30)
    assert settled is not None
    assert settled.rate == pytest.approx(50)


def test_nobody_warms_up_for_more_than_half_of_the_rows() -> None:
    settled = run.settle([sample(s, 10 * s) for s in range(101)], warm_up_s=1_000)
    assert settled is not None
    assert settled.rate == pytest.approx(10)


def test_a_start_is_taken_off_where_it_is_known() -> None:
    known = made("a", 1.0, cpu_s=0.5, start_cpu_s=0.1)
    assert known.cpu_per_million == pytest.approx(0.5)
    assert known.later_cpu_per_million == pytest.approx(0.4)


# --- Turns --------------------------------------------------------------------------------------


def test_ratios_are_of_runs_of_the_same_round() -> None:
    turns = turns_of(
        (made("a", 1.0), made("b", 2.0)), (made("a", 10.0), made("b", 20.0)), (made("a", 1.0), made("b", 3.0))
    )
    ratio = turns.ratio("a", "b", lambda each: each.rate)
    assert ratio is not None
    assert (ratio.median, ratio.low, ratio.high, ratio.count) == (2.0, 2.0, 3.0, 3)


def test_a_disturbed_round_is_left_out() -> None:
    pairs = [(made("a", 1.0), made("b", 1.0))] * 3 + [(made("a", 9.0), made("b", 1.0))]
    turns = turns_of(*pairs, beats=(CALM, CALM, CALM, CALM, BUSY))
    figure = turns.figure("a", lambda each: each.seconds)
    assert turns.is_calm and figure is not None
    assert (figure.high, figure.count) == (1.0, 3)


def test_when_too_few_rounds_are_calm_all_are_told() -> None:
    noisy = (made("a", 1.0, disturbance=0.5), made("b", 1.0))
    turns = turns_of(noisy, noisy, (made("a", 1.0), made("b", 1.0)))
    assert not turns.is_calm
    assert len(turns.told) == 3


def test_each_round_begins_with_another_one() -> None:
    names = ["a", "b", "c"]
    assert [interleave.in_turn(names, number) for number in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]


def test_what_fails_is_void() -> None:
    def fail() -> Run:
        raise RuntimeError("no such topic")

    failed = interleave.run_or_void("a", fail)
    assert (failed.subject, failed.void) == ("a", "RuntimeError: no such topic")


def test_a_void_run_counts_nowhere() -> None:
    turns = turns_of((made("a", 1.0, void="a row is missing"), made("b", 1.0)))
    assert turns.figure("a", lambda each: each.rate) is None
    assert turns.ratio("a", "b", lambda each: each.rate) is None
    assert turns.voids() == ["a: a row is missing"]


# --- Latency ------------------------------------------------------------------------------------


def test_a_record_is_seen_with_the_highest_id_of_its_partition() -> None:
    first = ["5000000", *["0"], *[""] * 11]
    second = ["30000000", "24", "13", *[""] * 10]
    found = latency.latencies_ms([first, second], rate=1_000, start_ns=0, first_id=0)
    due_ms = {0: 5.0, 12: 30.0, 24: 30.0, 1: 30.0, 13: 30.0}
    assert sorted(found) == sorted(seen - number for number, seen in due_ms.items())


def test_the_first_records_warm_up() -> None:
    rows = [["5000000", "24", *[""] * 11]]
    assert len(latency.latencies_ms(rows, rate=1_000, start_ns=0, first_id=12)) == 2


def test_percentiles_are_of_the_sorted_values() -> None:
    found = latency.percentiles(float(value) for value in range(1000, -1, -1))
    assert found == {"p50": 500.0, "p99": 990.0, "p99.9": 999.0, "max": 1000.0}


# --- Goals and pages ----------------------------------------------------------------------------


def results() -> dict[str, object]:
    turns = turns_of((made("pgsluice", 1.0, cpu_s=0.4), made("COPY text", 1.5, cpu_s=0.1)))
    workload = {
        "workload": "W2",
        "title": "typed",
        "codec": "none",
        "partitions": 12,
        "records": 1_000_000,
        "ratios": {"rows/s / COPY text": {"median": 1.5, "low": 1.5, "high": 1.5}},
        **turns.as_json(),
    }
    series = series_of("partitions", {"1 partitions": 1.0, "60 partitions": 1.05})
    return {"workloads": [workload], "growth": [series], "machine": {"command": "./dev bench"}}


def series_of(name: str, costs: dict[str, float]) -> dict[str, object]:
    """CPU of one round, by size."""
    turns = turns_of(tuple(made(size, 1.0, cpu_s=cost) for size, cost in costs.items()))
    return growth.Series(name, name, turns).as_json()


def contest_of(rates: dict[str, float], writes: dict[str, str]) -> dict[str, object]:
    ratios = {f"rows/s / {peer}": {"median": ratio} for peer, ratio in rates.items()}
    return {"peers": {"writes": writes, "ratios": ratios, "rounds": []}}


def test_what_was_not_measured_has_no_verdict() -> None:
    judged = goals.judge({})
    assert len(judged) == len(goals.GOALS)
    assert all(goal["value"] is None and goal["holds"] is None for goal in judged)


def test_goals_are_judged_from_the_figures() -> None:
    judged = {goal["name"]: goal for goal in goals.judge(results())}
    rate = judged["W2 drain rate over COPY text"]
    assert (rate["goal"], rate["value"], rate["holds"]) == (">= 1.2 x", 1.5, True)
    assert judged["W2 sink CPU"]["value"] == 0.4
    spread = judged["CPU per row from 1 to 60 partitions, spread"]
    assert spread["value"] == pytest.approx(5.0)
    assert spread["holds"]


def test_flatness_needs_both_ends() -> None:
    name = "CPU per row from 1 M to 50 M records, drift"
    both = series_of("records", {"1,000,000 records": 1.0, "50,000,000 records": 0.97})
    short = series_of("records", {"1,000,000 records": 1.0, "4,000,000 records": 1.0})
    judged = {each["name"]: each for each in goals.judge({"growth": [both]})}
    assert judged[name]["value"] == pytest.approx(3.0)
    judged = {each["name"]: each for each in goals.judge({"growth": [short]})}
    assert judged[name]["holds"] is None


def test_the_closest_peer_decides() -> None:
    name = "rows/s over the best INSERT-based peer"
    writes = {"slow": "INSERT ..", "fast": "INSERT ..", "other": "COPY .."}
    found = contest_of({"slow": 9.0, "fast": 2.0, "other": 1.0}, writes)
    judged = {each["name"]: each for each in goals.judge(found)}
    assert (judged[name]["value"], judged[name]["holds"]) == (2.0, False)


def test_a_peer_that_is_missing_might_have_been_the_closest() -> None:
    name = "rows/s over the best INSERT-based peer"
    found = contest_of({"slow": 9.0}, {"slow": "INSERT ..", "missing": "INSERT .."})
    judged = {each["name"]: each for each in goals.judge(found)}
    assert judged[name]["holds"] is None


def test_the_page_and_its_charts_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "FOLDER", tmp_path)
    found = results()
    docs.write({**found, "goals": goals.judge(found)})
    page = (tmp_path / "README.md").read_text()
    charts = {path.name for path in tmp_path.glob("*.svg")}
    assert charts == {"workloads.svg", "partitions.svg"}
    assert all(f"({name})" in page for name in charts)
    for name in charts:
        ElementTree.parse(tmp_path / name)
