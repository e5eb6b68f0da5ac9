# Sourced by the scripts beside it: gives RLM_BASE_URL and RLM_API_KEY, and `call`, `json`, `field` to use them.
#
# Where RLM_BASE_URL is not set, the service is started on free ports of loopback, with a data directory of its own
# in $scratch and the offline policy, and ended with the script. RLM_PROCESSES=one (the default) is `rlm serve` alone;
# RLM_PROCESSES=separate is the API, the parser and two workers of each kind, each a process of its own.
# RLM_PYTHON: a Python that has the package, to use in place of ./rlm and its environment.

scratch=$(mktemp -d)
started=()
finish() {
    local process
    for process in "${started[@]}"; do kill "$process" 2>/dev/null || true; done
    for process in "${started[@]}"; do wait "$process" || true; done
    rm -rf "$scratch"
}
trap finish EXIT

start() { # start NAME COMMAND...: in the background; what it says is in $scratch/NAME.out and .log
    local name=$1
    shift
    RLM_DATA_DIR=$scratch/data LLM_PROVIDER=fake "$@" >"$scratch/$name.out" 2>"$scratch/$name.log" &
    started+=($!)
}
said() { # said NAME FILE PATTERN: the first match in what a process says, once it is there
    local process=${started[-1]} found
    for _ in $(seq 600); do
        found=$(grep -o "$3" "$2" 2>/dev/null | head -n 1) && [ -n "$found" ] && { printf '%s' "$found"; return; }
        kill -0 "$process" 2>/dev/null || { cat "$scratch/$1.log" >&2; exit 1; }
        sleep 0.1
    done
    echo "$1 did not start in a minute" >&2
    exit 1
}

rlm=(./rlm)
python=${RLM_PYTHON:-${RLM_VENV:-$PWD/.venv}/bin/python}
[ -z "${RLM_PYTHON:-}" ] || rlm=("$python" -m rlm_rs)

start_one() {
    start api "${rlm[@]}" serve --port 0
}
start_separate() {
    local kind
    # makes the environment, if there is none yet
    "${rlm[@]}" --version >/dev/null
    start parser "$python" -m uvicorn rlm_rs.parser.service:app --host 127.0.0.1 --port 0
    PARSER_SERVICE_URL=$(said parser "$scratch/parser.log" 'http://127\.0\.0\.1:[0-9]*')
    export PARSER_SERVICE_URL
    for kind in ingestion ingestion orchestrator orchestrator; do
        WORKER_MODE=$kind start "worker_${#started[@]}" "$python" -m rlm_rs.worker_entrypoint
    done
    WORKER_MODE=none start api "${rlm[@]}" serve --port 0
}

if [ -z "${RLM_BASE_URL:-}" ]; then
    "start_${RLM_PROCESSES:-one}"
    RLM_BASE_URL=$(said api "$scratch/api.out" 'http://127\.0\.0\.1:[0-9]*')
    said api "$scratch/api.out" '^Key: ' >/dev/null
    RLM_API_KEY=$(cat "$scratch/data/local.key")
fi
: "${RLM_API_KEY:?set RLM_API_KEY to a key of the service at RLM_BASE_URL}"
export RLM_BASE_URL RLM_API_KEY

call() { # call METHOD PATH [curl arguments]: the body of a 2xx response, else an error
    local method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --max-time 120 --request "$method" \
        --header "Authorization: Bearer $RLM_API_KEY" "$@" "$RLM_BASE_URL$path"
}
json() { call "$1" "$2" --header 'Content-Type: application/json' --data "$3"; }
field() { # field NAME: the first string of that name in the JSON on standard input
    grep -o "\"$1\":\"[^\"]*\"" | head -n 1 | cut -d'"' -f4
}
session_of() { # session_of NAME FILE: a session of one document, once it can be asked
    local uri doc session view
    uri=$(call POST "/v1/uploads?filename=$1" --data-binary "@$2" | field raw_s3_uri)
    doc="{\"source_name\":\"$1\",\"mime_type\":\"text/markdown\",\"raw_s3_uri\":\"$uri\"}"
    session=$(json POST /v1/sessions "{\"ttl_minutes\":60,\"docs\":[$doc]}" | field session_id)
    for _ in $(seq 300); do
        view=$(call GET "/v1/sessions/$session")
        case $view in *'"ready":true'*) printf '%s' "$session"; return ;; esac
        sleep 0.1
    done
    echo "the session never became ready: $view" >&2
    exit 1
}
export -f call json field
