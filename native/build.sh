#!/bin/sh
# `build.sh` builds the native program that needs no Node: dist/native/gantry-shim, static. `build.sh sanitize`
# builds what tests use instead: gantry-shim-sanitized, frame-fuzz and plan-fuzz, with AddressSanitizer and
# UndefinedBehaviorSanitizer; `build.sh plain-fuzz` builds the last two without, for valgrind.
set -eu
cd "$(dirname "$0")/.."
out=dist/native
mkdir -p "$out"
warnings='-std=gnu11 -Wall -Wextra -Werror'
checks='-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
# The programs that feed decoders with what nobody sends: suffix of their names, flags, more files.
build_fuzzers() {
	suffix=$1 flags=$2
	shift 2
	${CC:-cc} $warnings $flags -Inative/shim -o "$out/frame-fuzz$suffix.new" native/shim/test/frame-fuzz.c \
		native/shim/frame.c native/shim/json-line.c "$@"
	mv "$out/frame-fuzz$suffix.new" "$out/frame-fuzz$suffix"
	${CC:-cc} $warnings $flags -Inative/launcher -o "$out/plan-fuzz$suffix.new" native/launcher/test/plan-fuzz.c \
		native/launcher/plan.c "$@"
	mv "$out/plan-fuzz$suffix.new" "$out/plan-fuzz$suffix"
}
if [ "${1:-}" = plain-fuzz ]; then
	build_fuzzers -plain '-g -O1'
	exit 0
fi
if [ "${1:-}" = sanitize ]; then
	${CC:-cc} $warnings $checks -o "$out/gantry-shim-sanitized.new" native/shim/*.c native/launcher/*.c \
		native/shim/test/sanitizer-options.c
	mv "$out/gantry-shim-sanitized.new" "$out/gantry-shim-sanitized"
	build_fuzzers '' "$checks" native/shim/test/sanitizer-options.c
	exit 0
fi
if command -v musl-gcc >/dev/null 2>&1; then compiler=musl-gcc; else compiler=${CC:-cc}; fi
# The new file takes its name only when it is whole: a running test keeps the old one.
"$compiler" $warnings -Os -static -s -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--build-id=none \
	-o "$out/gantry-shim.new" native/shim/*.c native/launcher/*.c
mv "$out/gantry-shim.new" "$out/gantry-shim"
