/*
 * The decoder of a launch plan (docs/flows/launch-plan.md). A plan is checked whole before its first
 * operation runs; operations are views into the caller's buffer, nothing is copied.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "operations.h"

enum plan_list { LIST_BEFORE = 0, LIST_PARENT = 1, LIST_CHILD = 2, LISTS = 3 };

/* List: `number` texts, `bytes` at the first. A text has a NUL behind it. */
struct value {
	uint64_t number; /* also a slot */
	int fd; /* of a slot that is read, once its operation runs; AT_FDCWD for NO_SLOT */
	uint32_t length; /* of text and bytes */
	union {
		const uint8_t *bytes;
		const char *text;
	};
};

struct operation {
	uint32_t code;
	uint16_t ignored[MAX_IGNORED]; /* errnos that count as success; 0 = none */
	const char *kinds; /* of the fields, see OPERATION_SHAPES */
	struct value fields[MAX_OPERATION_FIELDS];
};

struct plan {
	const uint8_t *bytes;
	uint32_t length;
	uint32_t starts[LISTS]; /* offset of a list's first operation */
	uint32_t counts[LISTS];
	bool host_mounts; /* `child` needs them: it has hooks, or takes the host's root away itself */
	/* Why it was refused. */
	uint32_t offset;
	const char *reason;
};

/* `false`: refused; `plan->reason` and `plan->offset` say why. The bytes must stay as they are. */
bool plan_decode(struct plan *plan, const uint8_t *bytes, size_t length);

/* The operation at `*offset` of a plan that has been decoded; moves on to the next one. */
void plan_operation(const struct plan *plan, uint32_t *offset, struct operation *operation);

const char *operation_name(uint32_t code);

/* The text at `*at`; moves on to the list's next one. Start with `list->bytes`, `list->number` times. */
const char *list_text(const uint8_t **at);

/* Pointers to a list's texts and a NULL; returns how many pointers were written. See `launch_vectors`. */
size_t list_pointers(const struct value *list, char **into);
