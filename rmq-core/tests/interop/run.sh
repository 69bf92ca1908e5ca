#!/usr/bin/env bash
# The interop suites: official clients, Apache's servers and tools, and the kill soak, against rmq.
# RMQ_INTEROP_SERVER=apache puts Apache's servers in rmq's place.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
cargo test -p rmq-core --features interop --test interop --test soak -- \
    --test-threads=1 --nocapture
