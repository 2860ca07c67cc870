#!/usr/bin/env bash
# What the tests have reached, from the counts below FOLDER: a table here, and pages in FOLDER/report.
#
#     coverage.sh FOLDER
#
# Branches that only gcc sees are left out, and so are assertions: they stand for our own mistakes.
# Fails below the limits.
set -euo pipefail

folder=$1
lines_min=90
branches_min=85

mkdir -p "$folder/report"
gcovr --root . --filter 'sink/' --object-directory "$folder" "$folder" \
    --exclude-unreachable-branches --exclude-throw-branches \
    --exclude-lines-by-pattern '.*\bassert\(.*' \
    --html-details "$folder/report/index.html" --json-summary "$folder/report/summary.json" \
    --print-summary --txt "$folder/report/lines.txt" \
    --fail-under-line "$lines_min" --fail-under-branch "$branches_min"
