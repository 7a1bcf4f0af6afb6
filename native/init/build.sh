#!/bin/sh
# Builds the program behind `--init`: native/init/build.sh OUT. Static, because it runs inside of every kind of image.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$(dirname "$out")"
if command -v musl-gcc >/dev/null 2>&1; then compiler=musl-gcc; else compiler=${CC:-cc}; fi
"$compiler" -std=gnu11 -Wall -Wextra -Werror -Os -static -s -o "$out.new" "$here"/*.c
mv "$out.new" "$out"
