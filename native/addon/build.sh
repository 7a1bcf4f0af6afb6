#!/bin/sh
# Builds the addon: native/addon/build.sh OUT.node
# Needs a C compiler and `npm install` (for node-api-headers). CC and CFLAGS are respected.
set -eu
out=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
mkdir -p "$(dirname "$out")"
"${CC:-cc}" -std=gnu11 -O2 -fPIC -shared -fvisibility=hidden -Wl,-z,nodelete -Wall -Wextra -Werror ${CFLAGS:-} \
  -I "$root/node_modules/node-api-headers/include" -o "$out.new" "$here"/*.c -pthread
mv "$out.new" "$out"
