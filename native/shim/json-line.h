/* The json-file log's lines: pure encoding. */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* An escaped byte takes at most 6 bytes. */
#define ESCAPED_BYTES 6
#define TIME_TEXT_BYTES 40

/* Escapes into `out` (capacity ≥ length * ESCAPED_BYTES); returns the end. */
char *json_escape(char *out, const uint8_t *bytes, size_t length);
/* RFC 3339 in UTC with the fraction's final zeros left out; returns the length. */
size_t time_text(char out[TIME_TEXT_BYTES], uint64_t ns);
