#!/bin/sh
# usage: bootstrap.sh VENV [--dev | --ci]
# Finds a Python that will do and lets bootstrap.py prepare the environment with it.
set -u
here=$(CDPATH='' cd -- "${0%/*}" && pwd -P)

is_python() {
    command -v "$1" >/dev/null 2>&1 && "$1" -I -c "import sys; sys.exit(not $2 <= sys.version_info[:2] < $3)" 2>/dev/null
}

find_python() {
    if [ -n "${RLM_PYTHON:-}" ]; then
        is_python "$RLM_PYTHON" '(3, 11)' '(4, 0)' && echo "$RLM_PYTHON"
        return
    fi
    # versions the tests run on come first, then anything newer
    for name in python3 python3.13 python3.12 python3.11; do
        is_python "$name" '(3, 11)' '(3, 14)' && { echo "$name"; return; }
    done
    for name in python3 python3.14 python; do
        is_python "$name" '(3, 11)' '(4, 0)' && { echo "$name"; return; }
    done
    if command -v uv >/dev/null 2>&1; then uv python find '>=3.11' 2>/dev/null; fi
}

python=$(find_python)
if [ -z "$python" ]; then
    echo "rlm: needs Python 3.11 or newer${RLM_PYTHON:+, which $RLM_PYTHON is not}. Install one (or uv), or name it in RLM_PYTHON." >&2
    exit 1
fi
exec "$python" -I "$here/bootstrap.py" "$@"
