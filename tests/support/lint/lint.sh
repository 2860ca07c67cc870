#!/usr/bin/env bash
# Reads the tree without running it; `./dev lint` calls it, with a folder that CMake has configured:
#
#     lint.sh BUILD_FOLDER
#
# Every check runs and says a line; the output of those that failed follows at the end.
set -euo pipefail
cd "$(dirname "$0")/../../.."

build=$1
output=$(mktemp -d)
trap 'rm -rf "$output"' EXIT
failed=()

check() {
    local name=$1 result=ok
    "check_$name" >"$output/$name" 2>&1 </dev/null || { result=FAILED && failed+=("$name"); }
    printf '%-10s %s\n' "$name" "$result"
}

# The tracked files of these patterns, each followed by a NUL.
files() {
    git ls-files -z -- "$@" | while read -rd '' file; do
        [[ ! -f $file ]] || printf '%s\0' "$file" # deleted, not yet committed
    done
}

check_format() { files '*.[ch]' | xargs -0r clang-format --dry-run -Werror; }

check_includes() { /usr/bin/python3 tests/support/lint/includes.py; }

# Each header compiles alone.
check_headers() {
    local flags
    read -ra flags < <(pkg-config --cflags libpq libuv jansson libmicrohttpd libcurl)
    flags+=(-std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -Iinclude
        -isystem "$(cmake/librdkafka.sh)/include")
    files 'include/*.h' | xargs -0r -n 1 cc "${flags[@]}" -x c
}

# Functions that write without a bound, keep state, or cannot report an error.
check_banned() {
    ! files '*.[ch]' | xargs -0r grep -nE '\b(v?sprintf|strcpy|strcat|atoi|atol|strtok|alloca|gets)\s*\('
}

check_tidy() {
    files 'sink/*.c' | xargs -0r -n 1 -P "$(nproc)" clang-tidy --quiet --extra-arg=-Wno-unknown-warning-option -p "$build"
}

# The header of logs is left out: cppcheck 2.10 cannot read the __VA_OPT__ in its macros.
check_cppcheck() {
    files 'sink/*.c' | xargs -0r cppcheck --quiet --enable=warning,performance,portability \
        --std=c11 --inline-suppr --error-exitcode=1 -j "$(nproc)" -Iinclude -DOPS_LOG_H
}

check_shell() { git grep -lzE '^#!.*\b(ba)?sh$' | xargs -0r shellcheck; }

check_python() { files '*.py' | xargs -0r pyflakes3; }

for name in format includes headers banned tidy cppcheck shell python; do
    check "$name"
done
for name in "${failed[@]}"; do
    printf '\n== %s\n' "$name"
    cat "$output/$name"
done
((${#failed[@]} == 0))
