#!/usr/bin/env bash
# The manual flow and a client-driven execution with curl. Where the service is, or how it is started: service.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/service.sh

step() { printf '%s\n' "- $1"; }
expect() { # expect WHAT PATTERN...: every pattern is in what stands on standard input
    local what=$1 text pattern
    shift
    text=$(cat)
    for pattern in "$@"; do
        case $text in *"$pattern"*) ;; *) printf '%s: no %s in %s\n' "$what" "$pattern" "$text" >&2; exit 1 ;; esac
    done
}

step "ready"
call GET /health/ready | expect ready '"status":"ok"'

step "upload and session"
printf 'This lease may be ended for convenience on six months notice in writing.\n' >"$scratch/lease.md"
session=$(session_of lease.md "$scratch/lease.md")
doc_id=$(call GET "/v1/sessions/$session" | field doc_id)

step "question"
execution=$(json POST "/v1/sessions/$session/executions" '{"question":"How may the lease be ended for convenience?"}' |
    field execution_id)
json POST "/v1/executions/$execution/wait" '{"timeout_seconds":60}' | expect answer '"status":"COMPLETED"' 'six months'
call GET "/v1/executions?session_id=$session" | expect list "$execution"

step "events, steps, code, trace"
call GET "/v1/executions/$execution/events" --header 'Accept: text/event-stream' | expect events 'event: Finished'
call GET "/v1/executions/$execution/steps" | expect steps '"success":true'
call GET "/v1/executions/$execution/code" | expect code '"source":"ROOT"'
call GET "/v1/executions/$execution/trace" | expect trace rlm_trace_v1

step "citation"
span="{\"session_id\":\"$session\",\"doc_id\":\"$doc_id\",\"start_char\":0,\"end_char\":10}"
ref=$(json POST /v1/spans/get "$span" | grep -o '"ref":{[^}]*}')
json POST /v1/citations/verify "{$ref}" | expect citation '"valid":true'

step "client-driven execution"
runtime=$(call POST "/v1/sessions/$session/executions/runtime" | field execution_id)
code="state['n'] = len(context[0])\\ntool.queue_llm('end', 'How may it be ended? ' + context[0][:])\\ntool.YIELD('asked')"
json POST "/v1/executions/$runtime/steps" "{\"code\":\"$code\"}" |
    expect step '"success":true' '"is_final":false' '"key":"end"'
asked='{"tool_requests":{"llm":[{"key":"end","prompt":"How may it be ended? On six months notice."}]}}'
json POST "/v1/executions/$runtime/tools/resolve" "$asked" | expect resolve '"end":"resolved"'
code="text = state['_tool_results']['llm']['end']['text']\\ntool.FINAL(context[0][0:10] + str(state['n']) + text[:0])"
json POST "/v1/executions/$runtime/steps" "{\"code\":\"$code\"}" | expect final '"is_final":true' 'This lease73'
call GET "/v1/executions/$runtime" | expect runtime '"status":"COMPLETED"' '"mode":"RUNTIME"' '"start_char":0'

step "cancel"
runtime=$(call POST "/v1/sessions/$session/executions/runtime" | field execution_id)
call POST "/v1/executions/$runtime/cancel" | expect cancel '"status":"CANCELLED"'

step "chat"
json POST /v1/chat/completions \
    '{"model":"rlm","messages":[{"role":"user","content":"May the lease be ended on six months notice?"}]}' |
    expect chat '"chat.completion"'

step "deletion"
call DELETE "/v1/sessions/$session" | expect deletion DELETING

echo "smoke test passed"
