/* Reading and writing frames and their fields: pure functions on bytes. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct frame {
	uint8_t type;
	uint16_t tag;
	const uint8_t *payload;
	uint32_t length;
};

struct field {
	uint16_t number;
	const uint8_t *data;
	uint32_t length;
};

enum frame_result { FRAME_WHOLE, FRAME_PARTIAL, FRAME_BROKEN };

enum frame_result frame_parse(const uint8_t *bytes, size_t length, struct frame *out);

/* 1: the next field, 0: the end, -1: broken. `offset` starts at 0. */
int field_next(const struct frame *frame, size_t *offset, struct field *out);
bool fields_valid(const struct frame *frame);
bool field_find(const struct frame *frame, uint16_t number, struct field *out);
uint64_t field_int(const struct frame *frame, uint16_t number, uint64_t fallback);
bool field_has(const struct frame *frame, uint16_t number);
/* Copies with a final NUL; an absent field gives "". False when it is too long or has a NUL inside. */
bool field_text(const struct frame *frame, uint16_t number, char *out, size_t capacity);

struct writer {
	uint8_t *bytes;
	size_t capacity;
	size_t length;
	size_t start;
};

void frame_begin(struct writer *writer, uint8_t type, uint16_t tag);
void frame_end(struct writer *writer);
void put_bytes(struct writer *writer, uint16_t number, const void *data, size_t length);
void put_text(struct writer *writer, uint16_t number, const char *text);
void put_int(struct writer *writer, uint16_t number, uint64_t value);
void frame_header(uint8_t *out, uint8_t type, uint32_t length);
