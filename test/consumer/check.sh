#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Uses rondo as a stranger would: installs it into a scratch directory, then
# builds every example against the installed copy, through pkg-config (shared,
# and one of them static) and one of them through CMake.
: "${BUILD:=release}" "${CXX:=g++}"
build=$1
# Below build/, because a test must not write where the user did not say.
mkdir -p "$build"
scratch=$(mktemp -d "$PWD/$build/consumer.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
prefix=$scratch/prefix
failed=0

# check NAME COMMAND...: one case; its output is shown if the command fails.
check() {
  name=$1
  shift
  if "$@" >"$scratch/log" 2>&1; then
    echo "ok consumer: $name"
  else
    echo "not ok consumer: $name"
    sed 's/^/  /' "$scratch/log"
    failed=1
  fi
}

# A make of its own: the job server of the one that started us is not ours.
install_rondo() {
  env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS \
    make install BUILD="$BUILD" CXX="$CXX" PREFIX="$prefix"
}
check "make install" install_rondo
[ $failed = 0 ] || exit 1

export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
export LD_LIBRARY_PATH="$prefix/lib"

# ---- The installed headers ----

headers=$(cd "$prefix/include" && find rondo -name '*.h' | sort)

no_line_of_the_tree() {
  ! grep -rnE '#include "(reactor|futures|net)/' "$prefix/include"
}
check "include lines begin with rondo/" no_line_of_the_tree

# Costly or private headers, named by one of ours...
no_heavy_include() {
  ! grep -rnE '#include <(spdlog/|fmt/|iostream>|regex>)' "$prefix/include"
}
check "no header names a costly one" no_heavy_include

# ... or reached through another.
no_heavy_header_behind() {
  for header in $headers; do echo "#include <$header>"; done >"$scratch/all.cc"
  $CXX -std=c++20 -M $(pkg-config --cflags rondo) "$scratch/all.cc" >"$scratch/all.d" ||
    return 1
  ! grep -nE '/(spdlog|fmt)/|/(iostream|regex)( |$)' "$scratch/all.d"
}
check "no costly header behind ours" no_heavy_header_behind

no_private_header() { ! find "$prefix/include" -name log.h | grep .; }
check "no private header is installed" no_private_header

# ---- pkg-config ----

# A copy whose include lines are those of a stranger.
as_a_stranger() {
  sed 's,#include "\(reactor\|futures\|net\)/,#include "rondo/\1/,' "$1"
}
mkdir "$scratch/examples"
# What several examples share is beside them, and is not installed.
for header in */examples/*.h; do
  [ -e "$header" ] || continue
  mkdir -p "$scratch/examples/rondo/$(dirname "$header")"
  as_a_stranger "$header" >"$scratch/examples/rondo/$header"
done
first=
for source in reactor/examples/*.cc futures/examples/*.cc net/examples/*.cc; do
  [ -e "$source" ] || continue
  name=$(echo "${source%.cc}" | sed 's,/examples/,/,; s,/,-,g')
  as_a_stranger "$source" >"$scratch/examples/$name.cc"
  # The one to run: it uses the library, ends by itself and prints the same
  # every time.
  if [ -z "$first" ] && grep -q '^// Expected output:' "$source" &&
    ! grep -qE '^//.*<(number|address|any)>' "$source" &&
    grep -q '^#include "reactor/' "$source"; then
    first=$name
  fi
done

# Two at a time, each with its output in a file of its own.
export CXX scratch
for source in "$scratch"/examples/*.cc; do
  [ -e "$source" ] && basename "$source" .cc
done | xargs -r -P 2 -I NAME sh -c '
  $CXX -std=c++20 -Wall -Wextra -Werror "$scratch/examples/NAME.cc" \
    -o "$scratch/examples/NAME" -I"$scratch/examples" $(pkg-config --cflags --libs rondo) \
    >"$scratch/examples/NAME.log" 2>&1 || touch "$scratch/examples/NAME.failed"'

built() {
  cat "$scratch/examples/$1.log"
  ! test -e "$scratch/examples/$1.failed"
}
for source in "$scratch"/examples/*.cc; do
  [ -e "$source" ] || continue
  name=$(basename "$source" .cc)
  check "pkg-config builds $name" built "$name"
done
[ -n "$first" ] || exit $failed

# The program does what the shared one from pkg-config did.
same_output() {
  { "$scratch/examples/$first"; echo "status $?"; } >"$scratch/expected"
  { "$1"; echo "status $?"; } >"$scratch/printed"
  diff "$scratch/expected" "$scratch/printed"
}

build_static() {
  $CXX -std=c++20 "$scratch/examples/$first.cc" -o "$scratch/static" \
    $(pkg-config --cflags rondo) \
    $(pkg-config --static --libs rondo | sed 's/-lrondo\>/-l:librondo.a/') &&
    ! ldd "$scratch/static" | grep librondo && same_output "$scratch/static"
}
check "static library runs $first" build_static

# ---- CMake ----

build_cmake() {
  cmake -S test/consumer -B "$scratch/cmake" -DCMAKE_CXX_COMPILER="$CXX" \
    -DCMAKE_PREFIX_PATH="$prefix" -DSOURCE="$scratch/examples/$first.cc" &&
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS cmake --build "$scratch/cmake" -j 2 &&
    same_output "$scratch/cmake/shared" && same_output "$scratch/cmake/static"
}
check "CMake package runs $first" build_cmake
exit $failed
