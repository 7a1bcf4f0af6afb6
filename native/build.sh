#!/bin/sh
# `build.sh` builds the native program that needs no Node: dist/native/gantry-shim, static. `build.sh sanitize`
# builds what tests use instead, with AddressSanitizer and UndefinedBehaviorSanitizer: gantry-shim-sanitized
# and the fuzzers; `build.sh fuzzers` builds these alone. GANTRY_NATIVE_OUT: another place; GANTRY_FUZZ_FLAGS:
# other flags for the fuzzers (valgrind wants them without sanitizers).
set -eu
cd "$(dirname "$0")/.."
out=${GANTRY_NATIVE_OUT:-dist/native}
mkdir -p "$out"
warnings='-std=gnu11 -Wall -Wextra -Werror'
checks='-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all'
# Name, its folder, what it feeds with things that nobody sends.
build_fuzzer() {
	name=$1 folder=$2
	shift 2
	${CC:-cc} $warnings ${GANTRY_FUZZ_FLAGS:-$checks} -I"native/$folder" -o "$out/$name.new" \
		"native/$folder/test/$name.c" native/shim/test/sanitizer-options.c "$@"
	mv "$out/$name.new" "$out/$name"
}
build_fuzzers() {
	build_fuzzer frame-fuzz shim native/shim/frame.c native/shim/json-line.c
	build_fuzzer ring-fuzz shim native/shim/ring.c native/shim/scratch.c native/shim/error.c
	build_fuzzer plan-fuzz launcher native/launcher/plan.c
	build_fuzzer entries-fuzz addon native/addon/entries.c
}
if [ "${1:-}" = fuzzers ]; then
	build_fuzzers
	exit 0
fi
if [ "${1:-}" = sanitize ]; then
	${CC:-cc} $warnings $checks -o "$out/gantry-shim-sanitized.new" native/shim/*.c native/launcher/*.c \
		native/shim/test/sanitizer-options.c
	mv "$out/gantry-shim-sanitized.new" "$out/gantry-shim-sanitized"
	build_fuzzers
	exit 0
fi
if command -v musl-gcc >/dev/null 2>&1; then compiler=musl-gcc; else compiler=${CC:-cc}; fi
# The new file takes its name only when it is whole: a running test keeps the old one.
"$compiler" $warnings -Os -static -s -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
	-Wl,--gc-sections -Wl,-z,norelro -Wl,-z,noseparate-code -Wl,--build-id=none \
	-o "$out/gantry-shim.new" native/shim/*.c native/launcher/*.c
mv "$out/gantry-shim.new" "$out/gantry-shim"
