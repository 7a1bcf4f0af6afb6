/*
 * Job: feed random and mutated frames to the parser, and random bytes to the log's encoder. `frame-fuzz
 * ROUNDS [SEED]`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frame.h"
#include "json-line.h"
#include "limits.h"
#include "protocol.h"

#define FIELD_NUMBERS 48
#define PLAN_BYTES (8 * KIB)

static uint64_t state;

static uint32_t next_random(void) {
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

/* START or EXEC with a plan, which is longer than all other fields; sometimes with a length that lies. */
static void put_plan(struct writer *writer) {
	static uint8_t plan[PLAN_BYTES];
	for (size_t i = 0; i < sizeof(plan); i += 1 + next_random() % 64)
		plan[i] = (uint8_t)next_random();
	size_t at = writer->length;
	writer->bytes[4] = next_random() % 2 ? FRAME_START : FRAME_EXEC;
	put_bytes(writer, FIELD_PLAN, plan, next_random() % sizeof(plan));
	if (next_random() % 8 == 0 && writer->length > at + FIELD_HEADER_BYTES)
		writer->bytes[at + 4 + next_random() % 4] = (uint8_t)next_random();
}

static size_t build(uint8_t *bytes, size_t capacity) {
	struct writer writer = {.bytes = bytes, .capacity = capacity};
	uint8_t value[300];
	frame_begin(&writer, (uint8_t)next_random(), (uint16_t)next_random());
	for (uint32_t count = next_random() % 12; count > 0; count--) {
		for (size_t i = 0; i < sizeof(value); i++)
			value[i] = (uint8_t)next_random();
		put_bytes(&writer, (uint16_t)(next_random() % FIELD_NUMBERS), value, next_random() % sizeof(value));
		put_int(&writer, (uint16_t)(next_random() % FIELD_NUMBERS), next_random());
	}
	if (next_random() % 4 == 0)
		put_plan(&writer);
	frame_end(&writer);
	return writer.length;
}

/* A heap copy of the exact size, so that one byte too far is seen. */
static unsigned long use(const uint8_t *bytes, size_t length) {
	unsigned long sum = 0;
	uint8_t *exact = malloc(length ? length : 1);
	struct frame frame;
	struct field field;
	char text[64];
	memcpy(exact, bytes, length);
	if (frame_parse(exact, length, &frame) == FRAME_WHOLE) {
		size_t offset = 0;
		while (field_next(&frame, &offset, &field) == 1)
			for (uint32_t i = 0; i < field.length; i++)
				sum += field.data[i];
		if (fields_valid(&frame))
			for (uint16_t number = 0; number < FIELD_NUMBERS; number++)
				sum += field_int(&frame, number, 1) + field_has(&frame, number) +
					field_text(&frame, number, text, sizeof(text));
	}
	char *escaped = malloc(length * ESCAPED_BYTES + 1);
	sum += (unsigned long)(json_escape(escaped, exact, length) - escaped);
	free(escaped);
	free(exact);
	return sum;
}

int main(int argc, char **argv) {
	static uint8_t bytes[16 * KIB];
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000, sum = 0;
	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252ull;
	for (unsigned long round = 0; round < rounds; round++) {
		size_t length = build(bytes, sizeof(bytes));
		for (uint32_t flips = next_random() % 4; flips > 0 && length > 0; flips--)
			bytes[next_random() % (round % 2 ? length : 24)] = (uint8_t)next_random();
		if (next_random() % 4 == 0)
			length = next_random() % (length + 1);
		sum += use(bytes, length);
	}
	printf("%lu rounds, checksum %lu\n", rounds, sum);
	return 0;
}
