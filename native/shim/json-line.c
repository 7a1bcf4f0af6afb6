/* Job: escape one log line exactly as the reference's json-file driver does. */
#include "json-line.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* 1: the byte may stand as it is. */
static uint8_t plain[256];
static bool plain_ready;

static void fill_plain(void) {
	for (int byte = 0x20; byte < 0x80; byte++)
		plain[byte] = byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
	plain_ready = true;
}

/* Length of the valid UTF-8 sequence at `at`, 0 when there is none. */
static size_t rune_length(const uint8_t *at, size_t left) {
	uint8_t first = at[0];
	uint8_t low = 0x80, high = 0xbf;
	size_t length;
	if (first >= 0xc2 && first <= 0xdf) {
		length = 2;
	} else if (first >= 0xe0 && first <= 0xef) {
		length = 3;
		low = first == 0xe0 ? 0xa0 : 0x80;
		high = first == 0xed ? 0x9f : 0xbf;
	} else if (first >= 0xf0 && first <= 0xf4) {
		length = 4;
		low = first == 0xf0 ? 0x90 : 0x80;
		high = first == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (left < length || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static char *escape_ascii(char *out, uint8_t byte) {
	static const char hex[] = "0123456789abcdef";
	*out++ = '\\';
	if (byte == '"' || byte == '\\') {
		*out++ = (char)byte;
	} else if (byte == '\n') {
		*out++ = 'n';
	} else if (byte == '\r') {
		*out++ = 'r';
	} else {
		memcpy(out, "u00", 3);
		out[3] = hex[byte >> 4];
		out[4] = hex[byte & 15];
		out += 5;
	}
	return out;
}

static char *escape_rune(char *out, const uint8_t *at, size_t length) {
	if (length == 0) {
		memcpy(out, "\\ufffd", 6);
		return out + 6;
	}
	if (length == 3 && at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9)) {
		memcpy(out, at[2] == 0xa8 ? "\\u2028" : "\\u2029", 6);
		return out + 6;
	}
	memcpy(out, at, length);
	return out + length;
}

char *json_escape(char *out, const uint8_t *bytes, size_t length) {
	if (!plain_ready)
		fill_plain();
	size_t at = 0;
	while (at < length) {
		size_t run = at;
		while (run < length && plain[bytes[run]])
			run++;
		memcpy(out, bytes + at, run - at);
		out += run - at;
		at = run;
		if (at == length)
			break;
		if (bytes[at] < 0x80) {
			out = escape_ascii(out, bytes[at++]);
		} else {
			size_t rune = rune_length(bytes + at, length - at);
			out = escape_rune(out, bytes + at, rune);
			at += rune == 0 ? 1 : rune;
		}
	}
	return out;
}

size_t time_text(char out[TIME_TEXT_BYTES], uint64_t ns) {
	time_t seconds = (time_t)(ns / 1000000000ull);
	struct tm utc;
	gmtime_r(&seconds, &utc);
	int length = snprintf(out, TIME_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%09u", (unsigned)(utc.tm_year + 1900) % 10000u,
		(unsigned)(utc.tm_mon + 1) % 100u, (unsigned)utc.tm_mday % 100u, (unsigned)utc.tm_hour % 100u,
		(unsigned)utc.tm_min % 100u, (unsigned)utc.tm_sec % 100u, (unsigned)(ns % 1000000000ull));
	while (out[length - 1] == '0')
		length--;
	if (out[length - 1] == '.')
		length--;
	out[length++] = 'Z';
	return (size_t)length;
}
