/* Job: check a launch plan whole, and give views of its operations. */
#include "plan.h"

#include <string.h>

#define PLAN_MAGIC 0x31504c47u /* GLP1 */
#define PLAN_VERSION 1
#define HEADER_BYTES 32
#define HEAD_BYTES 16 /* of an operation */
#define ALIGNMENT 8u
#define MAX_ERRNO 4095

struct shape {
	const char *name;
	const char *kinds;
};

static const struct shape shapes[OPERATION_CODES] = OPERATION_SHAPES;

/* A walk over the bytes up to `end`. */
struct reader {
	struct plan *plan;
	uint32_t at, end;
	uint32_t texts; /* of all lists so far */
};

const char *operation_name(uint32_t code) {
	return code < OPERATION_CODES && shapes[code].name ? shapes[code].name : "?";
}

static uint16_t u16_at(const uint8_t *bytes) {
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t u32_at(const uint8_t *bytes) {
	return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static uint64_t u64_at(const uint8_t *bytes) {
	return u32_at(bytes) | (uint64_t)u32_at(bytes + 4) << 32;
}

static uint32_t aligned(uint32_t length) {
	return (length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
}

static bool refuse(struct reader *reader, const char *reason) {
	reader->plan->offset = reader->at;
	reader->plan->reason = reason;
	return false;
}

static uint32_t left(const struct reader *reader) {
	return reader->end - reader->at;
}

static bool zero(const uint8_t *bytes, uint32_t count) {
	for (uint32_t i = 0; i < count; i++)
		if (bytes[i])
			return false;
	return true;
}

/* `length` bytes after a head of `head` bytes; what is left up to the alignment must be zero. */
static bool check_padded(struct reader *reader, uint32_t head, uint32_t length) {
	if (length > left(reader) || head + length > left(reader) || aligned(head + length) > left(reader))
		return refuse(reader, "a length beyond the end");
	if (!zero(reader->plan->bytes + reader->at + head + length, aligned(head + length) - head - length))
		return refuse(reader, "padding is not zero");
	reader->at += aligned(head + length);
	return true;
}

static bool check_text(struct reader *reader) {
	const uint8_t *bytes = reader->plan->bytes + reader->at;
	uint32_t length = left(reader) < 4 ? UINT32_MAX : u32_at(bytes);
	if (length >= left(reader))
		return refuse(reader, "a length beyond the end");
	if (4 + length >= left(reader) || bytes[4 + length] != 0)
		return refuse(reader, "a text without its NUL");
	if (memchr(bytes + 4, 0, length))
		return refuse(reader, "a NUL inside of a text");
	return check_padded(reader, 4, length + 1);
}

static bool check_list(struct reader *reader) {
	uint32_t count = u32_at(reader->plan->bytes + reader->at);
	uint32_t size = u32_at(reader->plan->bytes + reader->at + 4);
	uint32_t whole = reader->end;
	if (size > left(reader) - 8)
		return refuse(reader, "a length beyond the end");
	if (count > MAX_LIST_TEXTS - reader->texts)
		return refuse(reader, "too many texts in lists");
	reader->texts += count;
	reader->at += 8;
	reader->end = reader->at + size;
	while (count-- > 0)
		if (!check_text(reader))
			return false;
	if (left(reader) != 0)
		return refuse(reader, "a list's length does not fit its texts");
	reader->end = whole;
	return true;
}

/* Fields where NO_SLOT means something: nothing for some, a host path (only in `before`) for the others. */
static bool may_be_empty(uint32_t code, uint32_t field, enum plan_list list) {
	switch (code) {
	case OP_CLONE:
		return field == CLONE_CGROUP;
	case OP_SET_MOUNT_ATTRIBUTES:
		/* Later only for `/`, which its handler checks. */
		return field == SET_MOUNT_ATTRIBUTES_USERNS || list != LIST_PARENT;
	case OP_OPEN:
		return field == OPEN_AT && list == LIST_BEFORE;
	case OP_OPEN_TREE:
		return field == OPEN_TREE_AT && list == LIST_BEFORE;
	case OP_CHANGE_OWNER:
		return field == CHANGE_OWNER_AT && list == LIST_BEFORE;
	case OP_WRITE_FILE:
		return list == LIST_BEFORE;
	default:
		return false;
	}
}

static bool check_field(struct reader *reader, char kind, bool may_be_none) {
	if (kind == 's')
		return check_text(reader);
	if (left(reader) < 8)
		return refuse(reader, "no room for a field");
	const uint8_t *bytes = reader->plan->bytes + reader->at;
	if (kind == 'l')
		return check_list(reader);
	if (kind == 'b' && u32_at(bytes + 4) != 0)
		return refuse(reader, "a reserved word is not zero");
	if (kind == 'b')
		return check_padded(reader, 8, u32_at(bytes));
	if (kind != 'n' && u64_at(bytes) == NO_SLOT && !may_be_none)
		return refuse(reader, "no slot where one is needed");
	if (kind != 'n' && u64_at(bytes) >= MAX_SLOTS && u64_at(bytes) != NO_SLOT)
		return refuse(reader, "a slot out of range");
	reader->at += 8;
	return true;
}

/* The lists that an operation may stand in, where it is not all of them. */
static const uint8_t places[OPERATION_CODES] = {
	[OP_CLONE] = 1 << LIST_BEFORE,
	[OP_MAKE_DIRECTORY] = 1 << LIST_BEFORE,
	[OP_INHERIT_FILE] = 1 << LIST_BEFORE,
	[OP_USER_NAMESPACE] = 1 << LIST_BEFORE,
	[OP_WAIT_EXECUTED] = 1 << LIST_PARENT,
	[OP_WRITE_CHILD_FILE] = 1 << LIST_PARENT,
	[OP_TELL] = 1 << LIST_PARENT | 1 << LIST_CHILD,
	[OP_WAIT] = 1 << LIST_PARENT | 1 << LIST_CHILD,
	[OP_CLONE_AGAIN] = 1 << LIST_CHILD,
	[OP_WAIT_START] = 1 << LIST_CHILD,
	[OP_FIND_PROGRAM] = 1 << LIST_CHILD,
	[OP_EXECUTE] = 1 << LIST_CHILD,
};

static bool check_operation(struct reader *reader, enum plan_list list, bool last) {
	if (left(reader) < HEAD_BYTES)
		return refuse(reader, "no room for an operation");
	const uint8_t *head = reader->plan->bytes + reader->at;
	uint32_t code = u16_at(head), size = u32_at(head + 4);
	if (code >= OPERATION_CODES || !shapes[code].name)
		return refuse(reader, "an unknown operation");
	if (u16_at(head + 2) != strlen(shapes[code].kinds))
		return refuse(reader, "a wrong number of fields");
	if (size < HEAD_BYTES || size > left(reader) || size % ALIGNMENT != 0)
		return refuse(reader, "a wrong length of an operation");
	if (places[code] && !(places[code] & 1 << list))
		return refuse(reader, "an operation in the wrong list");
	if ((code == OP_CLONE || code == OP_EXECUTE) && !last)
		return refuse(reader, "an operation after the last one");
	reader->plan->host_mounts |= list == LIST_CHILD && (code == OP_HOOK || code == OP_MOVE_ROOT);
	for (uint32_t i = 0; i < MAX_IGNORED; i++)
		if (u16_at(head + 8 + 2 * i) > MAX_ERRNO)
			return refuse(reader, "an errno out of range");
	uint32_t whole = reader->end;
	reader->end = reader->at + size;
	reader->at += HEAD_BYTES;
	for (uint32_t i = 0; shapes[code].kinds[i]; i++)
		if (!check_field(reader, shapes[code].kinds[i], may_be_empty(code, i, list)))
			return false;
	if (left(reader) != 0)
		return refuse(reader, "an operation's length does not fit its fields");
	reader->end = whole;
	return true;
}

static bool check_header(struct reader *reader, size_t length) {
	struct plan *plan = reader->plan;
	uint32_t total = 0;
	if (length < HEADER_BYTES || length > MAX_PLAN_BYTES)
		return refuse(reader, "a plan too short or too long");
	if (u32_at(plan->bytes) != PLAN_MAGIC)
		return refuse(reader, "no launch plan");
	if (u32_at(plan->bytes + 4) != length)
		return refuse(reader, "a length that is not the plan's");
	if (u32_at(plan->bytes + 8) != PLAN_VERSION)
		return refuse(reader, "an unknown version");
	for (int list = 0; list < LISTS; list++) {
		plan->counts[list] = u32_at(plan->bytes + 12 + 4 * list);
		if (plan->counts[list] > MAX_OPERATIONS - total)
			return refuse(reader, "too many operations");
		total += plan->counts[list];
	}
	if (!zero(plan->bytes + 24, 8))
		return refuse(reader, "a reserved word is not zero");
	return true;
}

bool plan_decode(struct plan *plan, const uint8_t *bytes, size_t length) {
	*plan = (struct plan){.bytes = bytes, .length = (uint32_t)length};
	struct reader reader = {.plan = plan, .end = (uint32_t)length};
	uint32_t last_of_before = 0;
	if (!check_header(&reader, length))
		return false;
	reader.at = HEADER_BYTES;
	for (int list = 0; list < LISTS; list++) {
		plan->starts[list] = reader.at;
		for (uint32_t i = 0; i < plan->counts[list]; i++) {
			if (list == LIST_BEFORE)
				last_of_before = reader.at;
			if (!check_operation(&reader, list, i + 1 == plan->counts[list]))
				return false;
		}
	}
	if (left(&reader) != 0)
		return refuse(&reader, "bytes after the last operation");
	/* Without a clone there is nobody for the other two lists. */
	bool clones = plan->counts[LIST_BEFORE] > 0 && u16_at(bytes + last_of_before) == OP_CLONE;
	if (clones != (plan->counts[LIST_CHILD] > 0) || (!clones && plan->counts[LIST_PARENT] > 0))
		return refuse(&reader, "a clone without a child, or a child without a clone");
	return true;
}

/* A field of a checked plan; moves on. */
static struct value view(const uint8_t **at, char kind) {
	const uint8_t *bytes = *at;
	struct value value = {.fd = -1};
	if (kind == 's' || kind == 'b') {
		uint32_t head = kind == 's' ? 4 : 8;
		value.length = u32_at(bytes);
		value.bytes = bytes + head;
		*at = bytes + aligned(head + value.length + (kind == 's'));
	} else if (kind == 'l') {
		value.number = u32_at(bytes);
		value.bytes = bytes + 8;
		*at = bytes + 8 + u32_at(bytes + 4);
	} else {
		value.number = u64_at(bytes);
		*at = bytes + 8;
	}
	return value;
}

void plan_operation(const struct plan *plan, uint32_t *offset, struct operation *operation) {
	const uint8_t *head = plan->bytes + *offset, *at = head + HEAD_BYTES;
	operation->code = u16_at(head);
	operation->kinds = shapes[operation->code].kinds;
	for (uint32_t i = 0; i < MAX_IGNORED; i++)
		operation->ignored[i] = u16_at(head + 8 + 2 * i);
	for (uint32_t i = 0; operation->kinds[i]; i++)
		operation->fields[i] = view(&at, operation->kinds[i]);
	*offset += u32_at(head + 4);
}

const char *list_text(const uint8_t **at) {
	return view(at, 's').text;
}

size_t list_pointers(const struct value *list, char **into) {
	const uint8_t *at = list->bytes;
	for (uint64_t i = 0; i < list->number; i++)
		into[i] = (char *)(uintptr_t)list_text(&at);
	into[list->number] = NULL;
	return list->number + 1;
}
