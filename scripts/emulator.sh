#!/bin/sh
# usage: emulator.sh VENV PYTHON
# Prepares an environment for the AWS emulator of the tests from requirements-emulator.lock, unless it is there.
set -eu
here=$(CDPATH='' cd -- "${0%/*}" && pwd -P)
venv=$1 python=$2 lock=$here/../requirements-emulator.lock
stamp="$(cksum <"$lock") $("$python" -c 'import sys; print(sys.base_prefix, sys.version_info[:2])')"
if [ "$(cat "$venv/rlm-stamp" 2>/dev/null)" = "$stamp" ]; then exit 0; fi
rm -rf "$venv"
"$python" -m venv "$venv"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$lock"
printf '%s\n' "$stamp" >"$venv/rlm-stamp"
