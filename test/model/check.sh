#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Checks every Promela model here exhaustively, and that it has teeth: spin
# must find an error in each of its mutants. Comment lines of a model, each on
# a line of its own, say what there is:
#   /* pan flags: -a */           for the generated checker
#   /* gcc flags: -DNFAIR=3 */    for the compiler of the checker
#   /* mutant: NAME  why */       spin -DNAME must fail
cd "$(dirname "$0")" || exit 1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# flags NAME MODEL: what the model's comment asks for.
flags() { sed -n "s,^/\* $1 flags: *\(.*\) \*/\$,\1,p" "$2"; }

# verify MODEL [-DMUTANT]: all orders of its steps; the report is in the log.
verify() (
  cd "$scratch" && spin ${2+"$2"} -a "$1" &&
    gcc -O2 -w $(flags gcc "$1") -o pan pan.c &&
    ./pan -m1000000 $(flags pan "$1")
) >"$scratch/log" 2>&1

# Cut short is not proven: pan says so, and exits with 0 all the same.
proven() {
  grep -q 'errors: 0' "$scratch/log" &&
    ! grep -qE 'Search not completed|max search depth too small|out of memory' \
      "$scratch/log"
}

refuted() { grep -q 'errors: [1-9]' "$scratch/log"; }

# report NAME VERDICT MODEL [-DMUTANT]: the line that test/run counts.
failed=0
report() {
  if $2; then
    echo "ok $1"
  else
    echo "not ok $1"
    sed 's/^/  /' "$scratch/log"
    shift 2
    echo "  reproduce: spin ${2:-} -a $1 && gcc -O2 -w -o pan pan.c && ./pan"
    failed=1
  fi
}

for model in "$PWD"/*.pml; do
  [ -e "$model" ] || break
  name=$(basename "$model")
  verify "$model"
  report "model $name" proven "test/model/$name"
  for mutant in $(sed -n 's,^/\* mutant: *\([A-Z_]*\).*,\1,p' "$model"); do
    verify "$model" "-D$mutant"
    report "model $name refutes $mutant" refuted "test/model/$name" \
      "-D$mutant"
  done
done
exit $failed
