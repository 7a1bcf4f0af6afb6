#!/bin/sh
# `build.sh` builds the native program that needs no Node: dist/native/gantry-shim, static. `build.sh sanitize`
# builds what tests use instead: gantry-shim-sanitized and frame-fuzz, with AddressSanitizer and
# UndefinedBehaviorSanitizer.
set -eu
cd "$(dirname "$0")/.."
out=dist/native
mkdir -p "$out"
warnings='-std=gnu11 -Wall -Wextra -Werror'
checks='-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
if [ "${1:-}" = sanitize ]; then
	${CC:-cc} $warnings $checks -o "$out/gantry-shim-sanitized.new" native/shim/*.c native/shim/test/sanitizer-options.c
	mv "$out/gantry-shim-sanitized.new" "$out/gantry-shim-sanitized"
	${CC:-cc} $warnings $checks -Inative/shim -o "$out/frame-fuzz.new" native/shim/test/frame-fuzz.c native/shim/frame.c \
		native/shim/json-line.c native/shim/test/sanitizer-options.c
	mv "$out/frame-fuzz.new" "$out/frame-fuzz"
	exit 0
fi
if command -v musl-gcc >/dev/null 2>&1; then compiler=musl-gcc; else compiler=${CC:-cc}; fi
# The new file takes its name only when it is whole: a running test keeps the old one.
"$compiler" $warnings -Os -static -s -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--build-id=none \
	-o "$out/gantry-shim.new" native/shim/*.c
mv "$out/gantry-shim.new" "$out/gantry-shim"
