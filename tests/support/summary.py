"""Counts what ctest ran, case by case: summary.py RESULTS.xml REPORTS.

A cmocka program and a pytest file are one test to ctest but many cases to a reader. Their cases are
read from their output; any other program is one case. Skipped and failed cases are named, and the last
line is the counts. RESULTS.xml is from ctest --output-junit. Each file in the folder REPORTS is what a
sanitizer found: one more failure. The exit code is 1 when something failed or nothing passed.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

CMOCKA = re.compile(r"^\[ +(OK|FAILED|SKIPPED) +\] (\w+)$", re.MULTILINE)
PYTEST = re.compile(
    r"^\S+\.py::(.+?) (PASSED|FAILED|ERROR|SKIPPED|XFAIL|XPASS)\b *(\(.*\))?", re.MULTILINE)
OUTCOMES = {
    "OK": "passed", "PASSED": "passed", "XPASS": "passed",
    "FAILED": "failed", "ERROR": "failed",
    "SKIPPED": "skipped", "XFAIL": "skipped",
}


def cases_in(output):
    """The (name, outcome) of each case; cmocka names the bad ones again at its end, hence the dict."""
    cases = {name: OUTCOMES[word] for word, name in CMOCKA.findall(output)}
    for name, word, reason in PYTEST.findall(output):
        cases[f"{name} {reason}".strip()] = OUTCOMES[word]
    return cases


def outcome_of(test):
    """What ctest itself says of a whole program."""
    if test.get("status") == "run":
        return "passed"
    return "failed" if test.find("failure") is not None else "skipped"


def main(results, reports):
    found = {"passed": [], "failed": [], "skipped": []}
    for test in ElementTree.parse(results).iter("testcase"):
        whole = outcome_of(test)
        cases = cases_in(test.findtext("system-out") or "")
        for name, outcome in cases.items():
            found[outcome].append(f"{test.get('name')}: {name}")
        # A crash, a time-out or a leak fails the program although none of its cases did.
        if not cases or (whole == "failed" and "failed" not in cases.values()):
            found[whole].append(test.get("name"))
    found["failed"] += [f"report {path.name}" for path in sorted(pathlib.Path(reports).iterdir())]

    for outcome in ("skipped", "failed"):
        for name in found[outcome]:
            print(f"{outcome.upper()}  {name}")
    print(", ".join(f"{len(names)} {outcome}" for outcome, names in found.items()))
    return 1 if found["failed"] or not found["passed"] else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
