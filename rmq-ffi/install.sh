#!/usr/bin/env bash
# Lays the library out for C and C++ programs:
#
#   install.sh FOLDER PREFIX
#
# FOLDER holds librmq.so and librmq.a as cargo built them. PREFIX gets lib/, include/, the file of
# pkg-config and the package of CMake, which find their places by themselves when PREFIX is moved.
# DESTDIR, if set, goes before PREFIX.
set -euo pipefail

from=$1
prefix=${DESTDIR:-}$2
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/^version = "\(.*\)"/\1/p' "$here/../Cargo.toml" | head -1)
abi=$(sed -n 's/^const ABI_VERSION: u32 = \([0-9]*\);/\1/p' "$here/src/version.rs")

install -d "$prefix/lib/pkgconfig" "$prefix/lib/cmake/rmq" "$prefix/include/rmq"
install -m 755 "$from/librmq.so" "$prefix/lib/librmq.so.$version"
ln -sf "librmq.so.$version" "$prefix/lib/librmq.so.$abi"
ln -sf "librmq.so.$abi" "$prefix/lib/librmq.so"
install -m 644 "$from/librmq.a" "$prefix/lib/librmq.a"
install -m 644 "$here/../include/rmq.h" "$here/../include/rmq.hpp" "$prefix/include/"
install -m 644 "$here/../include/rmq/"*.hpp "$prefix/include/rmq/"
for file in rmq.pc rmqConfig.cmake rmqConfigVersion.cmake; do
    case $file in
        *.pc) to=$prefix/lib/pkgconfig ;;
        *) to=$prefix/lib/cmake/rmq ;;
    esac
    sed -e "s/@VERSION@/$version/g" -e "s/@ABI@/$abi/g" "$here/package/$file.in" > "$to/$file"
done
