#!/usr/bin/env bash
# usage: load_test.sh [COUNT] [PARALLEL]: so many questions at once over one session, and how they ended.
# Where the service is, or how it is started: service.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
count=${1:-50}
parallel=${2:-10}
. scripts/service.sh

ask() { # one question, asked and waited for: prints its status
    json POST "/v1/sessions/$1/executions" \
        '{"question":"How may the lease be ended?","options":{"synchronous":true,"synchronous_timeout_seconds":100}}' |
        field status
}
export -f ask

printf 'This lease may be ended on six months notice in writing.\n' >"$scratch/lease.md"
session=$(session_of lease.md "$scratch/lease.md")

begin=$(date +%s%N)
seq "$count" | xargs -P "$parallel" -I{} bash -c "ask $session || echo refused" | sort | uniq -c >"$scratch/statuses"
took=$((($(date +%s%N) - begin) / 1000000))
cat "$scratch/statuses"
echo "$count questions, $parallel at a time: $took ms"
call DELETE "/v1/sessions/$session" >/dev/null
[ "$(awk '$2 == "COMPLETED" {print $1}' "$scratch/statuses")" = "$count" ]
