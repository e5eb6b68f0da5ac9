#!/usr/bin/env bash
# The manual flow with curl: upload, session, question, checked citation, a client-driven step, deletion.
# Without RLM_BASE_URL it starts `./rlm serve` on a free port and a data directory of its own, and ends it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

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

call() { # call METHOD PATH [curl arguments]: the body of a 2xx response, else an error
    local method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --max-time 60 --request "$method" \
        --header "Authorization: Bearer $RLM_API_KEY" "$@" "$RLM_BASE_URL$path"
}
json() { call "$1" "$2" --header 'Content-Type: application/json' --data "$3"; }
field() { # field NAME: the first string of that name in the JSON on standard input
    grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d'"' -f4
}
step() { printf '%s\n' "- $1"; }

step "ready"
call GET /health/ready >/dev/null

step "upload"
printf 'This lease may be ended for convenience on six months notice in writing.\n' >"$scratch/lease.md"
uri=$(call POST '/v1/uploads?filename=lease.md' --data-binary "@$scratch/lease.md" | field raw_s3_uri)

step "session"
doc="{\"source_name\":\"lease.md\",\"mime_type\":\"text/markdown\",\"raw_s3_uri\":\"$uri\"}"
session=$(json POST /v1/sessions "{\"ttl_minutes\":60,\"docs\":[$doc]}" | field session_id)
for _ in $(seq 100); do
    view=$(call GET "/v1/sessions/$session")
    case $view in *'"ready":true'*) break ;; esac
    sleep 0.1
done
case $view in *'"ready":true'*) ;; *) echo "the session never became ready: $view" >&2; exit 1 ;; esac

step "question"
execution=$(json POST "/v1/sessions/$session/executions" '{"question":"How may the lease be ended for convenience?"}' |
    field execution_id)
answer=$(json POST "/v1/executions/$execution/wait" '{"timeout_seconds":60}')
case $answer in *'"status":"COMPLETED"'*'six months'*) ;; *) echo "no answer: $answer" >&2; exit 1 ;; esac

step "events"
call GET "/v1/executions/$execution/events" --header 'Accept: text/event-stream' | grep -q '^event: Finished'

step "citation"
doc_id=$(field doc_id <<<"$view")
span=$(json POST /v1/spans/get "{\"session_id\":\"$session\",\"doc_id\":\"$doc_id\",\"start_char\":0,\"end_char\":10}")
ref=$(grep -o '"ref":{[^}]*}' <<<"$span")
json POST /v1/citations/verify "{$ref}" | grep -q '"valid":true'

step "client-driven step"
runtime=$(call POST "/v1/sessions/$session/executions/runtime" | field execution_id)
json POST "/v1/executions/$runtime/steps" '{"code":"tool.FINAL(context[0][0:10])"}' | grep -q '"is_final":true'

step "chat"
json POST /v1/chat/completions \
    '{"model":"rlm","messages":[{"role":"user","content":"May the lease be ended on six months notice?"}]}' |
    grep -q '"chat.completion"'

step "deletion"
call DELETE "/v1/sessions/$session" | grep -q DELETING

echo "smoke test passed"
