#!/usr/bin/env bash
# The interop suites: official clients, Apache's servers and tools, and the kill soak, against rmq.
# RMQ_INTEROP_SERVER=apache runs the client suites against Apache's servers instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
bash rmq-core/tests/interop/fetch.sh "${CARGO_TARGET_DIR:-target}/interop" \
    client-4.9.8 client-5.5.0 server-5.5.0 go
cargo test -p rmq-core --features interop --test interop --test soak -- --test-threads=1
