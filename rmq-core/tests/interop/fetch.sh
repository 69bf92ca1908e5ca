#!/usr/bin/env bash
# Brings together what the interop suites need: the official Java clients, the suite compiled
# against each of them, the Go suite, and Apache's own servers. Quick when nothing changed.
#
# usage: fetch.sh FOLDER [PART]...
# PART: client-4.9.8 client-5.5.0 server-5.5.0 server-4.9.7 proxy-5.5.0 go
#
# Leaves FOLDER/jars/PART/*.jar, FOLDER/classes/VERSION and FOLDER/go/suite.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
folder=${1:?usage: fetch.sh FOLDER [PART]...}
shift
[ $# -gt 0 ] || set -- client-4.9.8 client-5.5.0 server-5.5.0 go
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

say() { echo "interop: $*" >&2; }

# One at a time: two test runs may share the folder.
exec 9>"$folder/.lock"
flock 9

sum() { cat "$@" | sha256sum | cut -d' ' -f1; }
# fresh STAMP FILE...: whether the stamp was made from just these files.
fresh() {
    local stamp=$1
    shift
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(sum "$@")" ]
}

# The local repository first, so that no network is needed when everything is there.
copy_jars() {
    local profile=$1 version=$2 target=$3 log=$folder/mvn.log mode
    for mode in --offline --batch-mode; do
        rm -rf "$target.new"
        if mvn --quiet --batch-mode "$mode" -f "$here/java/pom.xml" -P "$profile" \
            -Drocketmq.version="$version" -DincludeScope=runtime \
            -DoutputDirectory="$target.new" dependency:copy-dependencies >"$log" 2>&1; then
            rm -rf "$target"
            mv "$target.new" "$target"
            return
        fi
    done
    tail -15 "$log" >&2
    say "the jars of org.apache.rocketmq $version ($profile) are neither in the local Maven" \
        "repository nor to be had from Maven Central"
    exit 1
}

jars() {
    local part=$1 target=$folder/jars/$1
    if fresh "$target/.stamp" "$here/java/pom.xml"; then return; fi
    mkdir -p "$folder/jars"
    copy_jars "${part%%-*}" "${part#*-}" "$target"
    sum "$here/java/pom.xml" >"$target/.stamp"
}

classes() {
    local version=$1 target=$folder/classes/$1
    local line=("$here/java/v${version%%.*}"/rmq/interop/*.java)
    local sources=("$here"/java/src/rmq/interop/*.java "${line[@]}"
        "$here"/java/resources/*)
    if fresh "$target/.stamp" "${sources[@]}"; then return; fi
    rm -rf "$target"
    mkdir -p "$target"
    javac -nowarn -Xlint:-options -encoding UTF-8 -d "$target" \
        -cp "$folder/jars/client-$version/*" "$here"/java/src/rmq/interop/*.java "${line[@]}" 2>&1 |
        { grep -v '^Note: ' >&2 || true; }
    cp "$here"/java/resources/* "$target"
    sum "${sources[@]}" >"$target/.stamp"
}

go_suite() {
    local target=$folder/go/suite sources=("$here"/go/*.go "$here/go/go.mod" "$here/go/go.sum")
    if fresh "$folder/go/.stamp" "${sources[@]}" && [ -x "$target" ]; then return; fi
    mkdir -p "$folder/go"
    if ! (cd "$here/go" && GOFLAGS=-mod=readonly go build -buildvcs=false -o "$target" .); then
        say "the Go suite does not compile, or the Go client's modules are neither in the module" \
            "cache nor to be had from the proxy"
        exit 1
    fi
    sum "${sources[@]}" >"$folder/go/.stamp"
}

for part in "$@"; do
    case $part in
        client-*)
            jars "$part"
            classes "${part#client-}"
            ;;
        server-* | proxy-*) jars "$part" ;;
        go) go_suite ;;
        *)
            say "unknown part $part"
            exit 1
            ;;
    esac
done
