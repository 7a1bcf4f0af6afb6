/* Job: decode and encode frames. Everything that comes from a socket passes through here first. */
#include "frame.h"

#include <string.h>

#include "limits.h"
#include "protocol.h"

static uint32_t read_u32(const uint8_t *at) {
	return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint16_t read_u16(const uint8_t *at) {
	return (uint16_t)(at[0] | at[1] << 8);
}

static void write_u32(uint8_t *at, uint32_t value) {
	for (int i = 0; i < 4; i++)
		at[i] = (uint8_t)(value >> (8 * i));
}

static uint32_t payload_limit(uint8_t type) {
	return type == FRAME_START || type == FRAME_EXEC ? MAX_REQUEST_BYTES : MAX_PAYLOAD_BYTES;
}

enum frame_result frame_parse(const uint8_t *bytes, size_t length, struct frame *out) {
	if (length < FRAME_HEADER_BYTES)
		return FRAME_PARTIAL;
	out->length = read_u32(bytes);
	out->type = bytes[4];
	out->tag = read_u16(bytes + 6);
	out->payload = bytes + FRAME_HEADER_BYTES;
	if (out->length > payload_limit(out->type))
		return FRAME_BROKEN;
	return length - FRAME_HEADER_BYTES < out->length ? FRAME_PARTIAL : FRAME_WHOLE;
}

int field_next(const struct frame *frame, size_t *offset, struct field *out) {
	size_t left = frame->length - *offset;
	if (left == 0)
		return 0;
	if (left < FIELD_HEADER_BYTES)
		return -1;
	const uint8_t *at = frame->payload + *offset;
	out->number = read_u16(at);
	out->length = read_u32(at + 4);
	out->data = at + FIELD_HEADER_BYTES;
	if (out->length > left - FIELD_HEADER_BYTES)
		return -1;
	*offset += FIELD_HEADER_BYTES + out->length;
	return 1;
}

bool fields_valid(const struct frame *frame) {
	struct field field;
	size_t offset = 0;
	int result;
	while ((result = field_next(frame, &offset, &field)) == 1)
		;
	return result == 0;
}

bool field_find(const struct frame *frame, uint16_t number, struct field *out) {
	size_t offset = 0;
	while (field_next(frame, &offset, out) == 1)
		if (out->number == number)
			return true;
	return false;
}

bool field_has(const struct frame *frame, uint16_t number) {
	struct field field;
	return field_find(frame, number, &field);
}

uint64_t field_int(const struct frame *frame, uint16_t number, uint64_t fallback) {
	struct field field;
	if (!field_find(frame, number, &field) || field.length != 8)
		return fallback;
	return (uint64_t)read_u32(field.data) | (uint64_t)read_u32(field.data + 4) << 32;
}

bool field_text(const struct frame *frame, uint16_t number, char *out, size_t capacity) {
	struct field field;
	out[0] = 0;
	if (!field_find(frame, number, &field))
		return true;
	if (field.length >= capacity || memchr(field.data, 0, field.length))
		return false;
	memcpy(out, field.data, field.length);
	out[field.length] = 0;
	return true;
}

void frame_header(uint8_t *out, uint8_t type, uint32_t length) {
	write_u32(out, length);
	out[4] = type;
	out[5] = 0;
	out[6] = 0;
	out[7] = 0;
}

void frame_begin(struct writer *writer, uint8_t type, uint16_t tag) {
	writer->start = writer->length;
	if (writer->capacity - writer->length < FRAME_HEADER_BYTES)
		return;
	uint8_t *at = writer->bytes + writer->length;
	frame_header(at, type, 0);
	at[6] = (uint8_t)tag;
	at[7] = (uint8_t)(tag >> 8);
	writer->length += FRAME_HEADER_BYTES;
}

void frame_end(struct writer *writer) {
	if (writer->length - writer->start >= FRAME_HEADER_BYTES)
		write_u32(writer->bytes + writer->start, (uint32_t)(writer->length - writer->start - FRAME_HEADER_BYTES));
}

/*
 * A field that does not fit is left out: the reader takes it as absent. Sizes are chosen so that it never
 * happens.
 */
void put_bytes(struct writer *writer, uint16_t number, const void *data, size_t length) {
	if (writer->capacity - writer->length < FIELD_HEADER_BYTES + length)
		return;
	uint8_t *at = writer->bytes + writer->length;
	at[0] = (uint8_t)number;
	at[1] = (uint8_t)(number >> 8);
	at[2] = 0;
	at[3] = 0;
	write_u32(at + 4, (uint32_t)length);
	if (length > 0)
		memcpy(at + FIELD_HEADER_BYTES, data, length);
	writer->length += FIELD_HEADER_BYTES + length;
}

void put_text(struct writer *writer, uint16_t number, const char *text) {
	put_bytes(writer, number, text, strlen(text));
}

void put_int(struct writer *writer, uint16_t number, uint64_t value) {
	uint8_t bytes[8];
	write_u32(bytes, (uint32_t)value);
	write_u32(bytes + 4, (uint32_t)(value >> 32));
	put_bytes(writer, number, bytes, sizeof(bytes));
}
