#!/bin/sh
# usage: localstack_init.sh
# Creates what the aws profile needs in the emulator at LOCALSTACK_ENDPOINT_URL, if it is missing; waits for it a while.
set -eu
: "${LOCALSTACK_ENDPOINT_URL:?set it to the URL of the emulator}"
export RLM_PROFILE=aws
tries=0
until "${PYTHON:-python3}" -m rlm_rs deploy create; do
    tries=$((tries + 1))
    if [ "$tries" -ge 10 ]; then exit 1; fi
    sleep 2
done
