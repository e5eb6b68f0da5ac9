#!/usr/bin/env bash
# usage: load_test.sh [COUNT] [PARALLEL]: so many questions at once over one session, and how they ended.
# Without RLM_BASE_URL it starts `./rlm serve` on a free port with the offline policy, and ends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
count=${1:-50}
parallel=${2:-10}

scratch=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server"; } || true
    rm -rf "$scratch"
}
trap finish EXIT

if [ -z "${RLM_BASE_URL:-}" ]; then
    LLM_PROVIDER=fake ./rlm serve --port 0 --data-dir "$scratch/data" >"$scratch/told" 2>"$scratch/log" &
    server=$!
    for _ in $(seq 300); do
        [ "$(wc -l <"$scratch/told")" -ge 2 ] && break
        kill -0 "$server" 2>/dev/null || { cat "$scratch/log" >&2; exit 1; }
        sleep 0.1
    done
    RLM_BASE_URL=$(grep -o 'http://127.0.0.1:[0-9]*' "$scratch/told" | head -n 1)
    RLM_API_KEY=$(cat "$scratch/data/local.key")
fi
: "${RLM_API_KEY:?set RLM_API_KEY to a key of the service at RLM_BASE_URL}"
export RLM_BASE_URL RLM_API_KEY

call() {
    curl --silent --show-error --fail-with-body --max-time 120 --header "Authorization: Bearer $RLM_API_KEY" \
        --header 'Content-Type: application/json' "$@"
}
field() { grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d'"' -f4; }
ask() { # one question, asked and waited for: prints its status
    local body='{"question":"How may the lease be ended?","options":{"synchronous":true,"synchronous_timeout_seconds":100}}'
    call "$RLM_BASE_URL/v1/sessions/$1/executions" --data "$body" | field status
}
export -f call field ask

uri=$(printf 'This lease may be ended on six months notice in writing.\n' |
    call --header 'Content-Type: text/plain' --data-binary @- "$RLM_BASE_URL/v1/uploads?filename=lease.md" | field raw_s3_uri)
doc="{\"source_name\":\"lease.md\",\"mime_type\":\"text/markdown\",\"raw_s3_uri\":\"$uri\"}"
session=$(call "$RLM_BASE_URL/v1/sessions" --data "{\"ttl_minutes\":60,\"docs\":[$doc]}" | field session_id)
for _ in $(seq 100); do
    case $(call "$RLM_BASE_URL/v1/sessions/$session") in *'"ready":true'*) break ;; esac
    sleep 0.1
done

begin=$(date +%s%N)
seq "$count" | xargs -P "$parallel" -I{} bash -c "ask $session || echo refused" | sort | uniq -c >"$scratch/statuses"
took=$((($(date +%s%N) - begin) / 1000000))
cat "$scratch/statuses"
echo "$count questions, $parallel at a time: $took ms"
call --request DELETE "$RLM_BASE_URL/v1/sessions/$session" >/dev/null
[ "$(awk '$2 == "COMPLETED" {print $1}' "$scratch/statuses")" = "$count" ]
