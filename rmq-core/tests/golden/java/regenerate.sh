#!/usr/bin/env bash
# Writes ../data again: everything from one release, what a newer one does otherwise from that too.
# usage: regenerate.sh [folder]
set -euo pipefail
cd "$(dirname "$0")"
data=$(realpath -m "${1:-../data}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for version in 5.3.3 5.5.0; do
    build="$work/$version"
    mkdir -p "$build" "$data/$version"
    cp -r pom.xml src "$build"
    mvn -q -f "$build/pom.xml" -Drocketmq.version="$version" compile \
        dependency:build-classpath -Dmdep.outputFile="$build/classpath"
    java --add-opens java.base/sun.nio.ch=ALL-UNNAMED --add-opens java.base/java.nio=ALL-UNNAMED \
        --add-exports java.base/jdk.internal.ref=ALL-UNNAMED -Duser.home="$build" \
        -cp "$build/target/classes:$(cat "$build/classpath")" Golden "$data/$version" \
        "$build/store" >"$build/log" 2>&1 || { tail -20 "$build/log"; exit 1; }
done
# What does not change between releases is kept once.
for once in allocations batches bloom bodies-compressed filter-file filters hashes ids log \
    properties records; do
    rm -f "$data/5.5.0/$once.jsonl"
done
