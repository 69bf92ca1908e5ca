#!/usr/bin/env bash
# Rate and latency of the C client beside Apache's Java client (5.5.0), by turns on one rmq broker.
# After that start to first send from C, and idle memory of a nameserver and a broker.
#
#   benches/client.sh                      release build; 3 rounds of 5 s, 128 bytes, 256 in flight
#   SECONDS_EACH=10 ROUNDS=5 BODY=1024 IN_FLIGHT=64 benches/client.sh
#   BUILD=debug benches/client.sh          to see that it works
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
build=${BUILD:-release}
seconds=${SECONDS_EACH:-5} rounds=${ROUNDS:-3} body=${BODY:-128} in_flight=${IN_FLIGHT:-256}
starts=${STARTS:-51}
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
pids=()

finish() {
    # The broker first, so that it can take its registration back.
    for pid in "${pids[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}
trap finish EXIT

flag=
[ "$build" = release ] && flag=--release
(cd "$root" && cargo build --quiet $flag -p rmq-core --features cli --bins &&
    cargo build --quiet $flag -p rmq-ffi)

ln -s "$target/$build/librmq.so" "$work/librmq.so.0"
export LD_LIBRARY_PATH=$work
for program in client first_send; do
    gcc -O2 -std=c11 -I "$root/include" "$here/c/$program.c" "$work/librmq.so.0" -lpthread \
        -o "$work/$program"
done
jars=
if command -v javac >/dev/null; then
    bash "$root/rmq-core/tests/interop/fetch.sh" "$target/interop" client-5.5.0 >/dev/null
    jars=$(echo "$target"/interop/jars/client-5.5.0/*.jar | tr ' ' ':')
    javac -cp "$jars" -d "$work" "$here/java/ClientBench.java"
else
    echo "NOT RUN: the Java client: javac is not installed"
fi

read -r namesrv_port broker_port ha_port < <(python3 - <<'PORTS'
import socket
held = [socket.socket() for _ in range(3)]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PORTS
)
echo "listenPort=$namesrv_port" >"$work/namesrv.conf"
cat >"$work/broker.conf" <<CONF
brokerName=bench
brokerIP1=127.0.0.1
listenPort=$broker_port
haListenPort=$ha_port
namesrvAddr=127.0.0.1:$namesrv_port
storePathRootDir=$work/store
CONF
"$target/$build/mqnamesrv" -c "$work/namesrv.conf" >"$work/namesrv.log" 2>&1 &
pids=($!)
"$target/$build/mqbroker" -c "$work/broker.conf" >"$work/broker.log" 2>&1 &
pids=($! "${pids[@]}")

namesrv=127.0.0.1:$namesrv_port
await_port() {
    for _ in $(seq 300); do
        (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    cat "$work"/*.log >&2
    exit 1
}
await_port "$namesrv_port"
await_port "$broker_port"

echo "$build build, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); $body bytes," \
    "$in_flight in flight, $rounds rounds of $seconds s"
for round in $(seq "$rounds"); do
    arguments=("$seconds" "$body" "$in_flight")
    "$work/client" "$namesrv" "C$round" "${arguments[@]}" | sed 's/^/C /' >>"$work/rows"
    [ -z "$jars" ] || java -cp "$jars:$work" -Drocketmq.client.logUseSlf4j=true \
        ClientBench "$namesrv" "Java$round" "${arguments[@]}" 2>"$work/java.log" |
        grep -E '^(sync|async|push) ' | sed 's/^/Java /' >>"$work/rows"
done
# client row rate p50 p99 failures; the median of the rounds by rate
sort -k1,1 -k2,2 -k3,3n "$work/rows" | awk '
    function flush() {
        if (n == 0) return
        split(lines[int((n + 1) / 2)], f, " ")
        name = f[2] == "sync" ? "sync, one thread" : f[2] == "async" ? "async" : "push"
        if (f[2] == "push") printf "%-5s %-17s %9d messages/s\n", f[1], name, f[3]
        else printf "%-5s %-17s %9d messages/s   p50 %6d us   p99 %6d us   failures %d\n", \
            f[1], name, f[3], f[4], f[5], f[6]
        n = 0
    }
    { if ($1 " " $2 != key) { flush(); key = $1 " " $2 } lines[++n] = $0 }
    END { flush() }'
"$work/first_send" "$starts"
