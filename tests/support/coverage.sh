#!/usr/bin/env bash
# What the tests have reached, from the counts below FOLDER: a table here, and pages in FOLDER/report.
#
#     coverage.sh FOLDER
#
# Left out are branches that nothing can reach:
# - those that only gcc sees, and assertions, which stand for our own mistakes;
# - what has no failure, but says true to stand at the end of a chain: "decode(...) && put_null(out)";
# - where a switch over an enum goes for a value that is none (its cases are lines, which count).
#
# Fails below the limits: of all, and of what decides about rows and positions (every branch of it).
set -euo pipefail

folder=$1
lines_min=90
branches_min=85
whole='sink/(pg/(offsets|sqlstate|type(_binary|_form|_text)?)|dispatch/(flush|retry))\.c'

never_fails='put_fixed_int(32|64)|put_float[48]|put_date_of|end_field|finish|append_slice'
counts=(--root . --object-directory "$folder" "$folder"
    --exclude-unreachable-branches --exclude-throw-branches
    --exclude-lines-by-pattern '.*\bassert\(.*'
    --exclude-branches-by-pattern "^\s*switch \(.*|.*&& ($never_fails)\(.*\);\$|^ +($never_fails)\(.*\);\$")

code=0
mkdir -p "$folder/report"
gcovr "${counts[@]}" --filter 'sink/' \
    --html-details "$folder/report/index.html" --json-summary "$folder/report/summary.json" \
    --print-summary --txt "$folder/report/lines.txt" \
    --fail-under-line "$lines_min" --fail-under-branch "$branches_min" || code=$?
gcovr "${counts[@]}" --filter "$whole" --branches --fail-under-branch 100 || code=$?
exit "$code"
