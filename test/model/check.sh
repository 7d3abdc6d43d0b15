#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Checks every Promela model here exhaustively. A model may ask for other flags
# of the generated checker, or of its compiler, in a comment line of its own:
#   /* pan flags: -a */
#   /* gcc flags: -DNFAIR=3 */
cd "$(dirname "$0")" || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# flags NAME MODEL: what the model's comment asks for.
flags() { sed -n "s,^/\* $1 flags: *\(.*\) \*/\$,\1,p" "$2"; }

check() {
  cd "$scratch" && spin -a "$1" &&
    gcc -O2 -w $(flags gcc "$1") -o pan pan.c &&
    ./pan -m1000000 $(flags pan "$1")
}

failed=0
for model in "$PWD"/*.pml; do
  [ -e "$model" ] || break
  (check "$model") >"$scratch/log" 2>&1
  # Cut short is not proven: pan says so, and exits with 0 all the same.
  if grep -q 'errors: 0' "$scratch/log" &&
    ! grep -qE 'Search not completed|max search depth too small|out of memory' \
      "$scratch/log"; then
    echo "ok model $(basename "$model")"
  else
    echo "not ok model $(basename "$model")"
    sed 's/^/  /' "$scratch/log"
    echo "  reproduce: spin -a test/model/$(basename "$model") && gcc -o pan pan.c && ./pan"
    failed=1
  fi
done
exit $failed
