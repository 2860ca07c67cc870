#!/usr/bin/env bash
# Has Spin search every run of flush.pml, of the protocol and of the ways to break it:
#
#     check.sh    one line per check: the property, of what, how it came out, states, seconds of CPU
#
# safe: whatever is committed, rows and dead letters are exactly the records below next_offset, each once.
# live: once the faults are over, all records get written. "stuck" is a run in which they do not.
#
# Exits 0 when all is as expected, 1 when not, 77 when something is missing here.
set -euo pipefail

records=3
most_faults=3 # every variant that fails does so with 2
memory_mb=3500
model=$(cd "$(dirname "$0")" && pwd)/flush.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export LC_ALL=C
TIMEFORMAT=%U
failed=0

# spin and cc, with the property's and the variant's options.
build() {
    local property=$1 variant=$2 faults=$3 broken=$2 noticed=0 options=(-O0 -DSAFETY -DNOCLAIM)
    [[ $property == safe ]] || noticed=1 options=(-O0 -DNOFAIR)
    ((faults < most_faults)) || options+=(-O1) # worth its time
    case $variant in
        whole) broken=NOTHING ;;
        UNNOTICED) broken=NOTHING noticed=0 ;;
    esac
    spin -a "-DN=$records" "-DFAULTS=$faults" "-DBROKEN=$broken" "-DNOTICED=$noticed" "$model" >spin.log &&
        cc -w "${options[@]}" "-DMEMLIM=$memory_mb" -o pan pan.c
}

search() {
    local options=(-m100000)
    [[ $1 == safe ]] || options+=(-a)
    ./pan "${options[@]}" >pan.log
}

outcome() {
    if grep -q 'assertion violated' pan.log; then
        echo violated
    elif grep -q 'acceptance cycle (at' pan.log; then
        echo stuck
    elif grep -q 'errors: 0' pan.log && ! grep -qE 'depth too small|not completed' pan.log; then
        echo holds
    else
        echo "not searched"
    fi
}

# check PROPERTY VARIANT FAULTS EXPECTED
check() {
    local property=$1 variant=$2 faults=$3 expected=$4 came states seconds verdict=ok
    build "$property" "$variant" "$faults" || { cat spin.log && exit 1; }
    { time search "$property"; } 2>seconds || true
    came=$(outcome)
    states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' pan.log)
    seconds=$(tail -n 1 seconds)
    [[ $came == "$expected" ]] || { verdict="EXPECTED: $expected" && failed=1; }
    printf '%s  %-9s  %d faults  %-8s  %8s states  %6.1f s  %s\n' \
        "$property" "$variant" "$faults" "$came" "${states:-?}" "$seconds" "$verdict"
}

for tool in spin cc; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed" && exit 77; }
done

# The protocol. It is safe even where a replica has not noticed a failover.
check safe whole "$most_faults" holds
check live whole "$most_faults" holds

# Broken: no compare; position before the rows, or dead letter, in a transaction of its own; start from
# Kafka's offset; a lost flush sent again without a claim; a claim that ends no frozen owner; no ownership_check
# after a failover, so that a queue with nothing to send never learns that its records are gone.
check safe NOCAS 2 violated
check safe TWOTX 2 violated
check safe DLQOUT 2 violated
check live KAFKAOFF 2 stuck
check live RESEND 2 stuck
check live NOFREE 2 stuck
check live UNNOTICED 2 stuck

# What each half of the compare is for. next_offset alone is safe, also when a flush is sent twice; but a flush
# of a former owner can then take the row after the claim, and keep it. The epoch alone will do only as long
# as every failover is noticed.
check safe NOEPOCH 2 holds
check live NOEPOCH 2 stuck
check safe NOFROM 2 violated
check live NOFROM 2 holds
check safe RESEND 2 holds

# A limit: SINK_START=committed starts from what Kafka was told, also when a failover has lost the row.
check safe LOSTROW 2 violated

exit "$failed"
