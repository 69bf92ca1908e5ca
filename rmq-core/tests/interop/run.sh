#!/usr/bin/env bash
# The interop suites: official clients, Apache's servers and tools, the kill soak, and faults on
# hosts of their own, against rmq.
# RMQ_INTEROP_SERVER=apache puts Apache's servers in rmq's place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
cargo test -p rmq-core --features interop --test interop --test soak --test reliability -- \
    --test-threads=1 --nocapture
