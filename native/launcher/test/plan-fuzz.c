/*
 * Job: feed mutated launch plans to the decoder and touch every byte of what it accepts. `plan-fuzz ROUNDS
 * SEED [PLAN...]`: the plans of the files are mutated; without one, plans that hold every operation.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "plan.h"

#define MAX_SEEDS 256
#define SEED_BYTES (256 * 1024)
#define HEADER_BYTES 32
#define NUMBER_BYTES 8

struct seed {
	uint8_t *bytes;
	uint32_t length;
};

static struct seed seeds[MAX_SEEDS];
static unsigned seed_count;
static uint64_t state;

static uint32_t next_random(void) {
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static void put_u32(uint8_t *at, uint32_t value) {
	memcpy(at, &value, sizeof(value));
}

static uint32_t put_text(uint8_t *at) {
	uint32_t length = next_random() % 24, size = (4 + length + 1 + 7) & ~7u;
	memset(at, 0, size);
	put_u32(at, length);
	memset(at + 4, 'a' + (int)(next_random() % 26), length);
	return size;
}

static uint32_t put_field(uint8_t *at, char kind) {
	uint32_t size = NUMBER_BYTES;
	memset(at, 0, NUMBER_BYTES);
	switch (kind) {
	case 'n':
		put_u32(at, next_random());
		break;
	case 'd':
	case 'o':
		put_u32(at, next_random() % MAX_SLOTS);
		break;
	case 's':
		return put_text(at);
	case 'b':
		put_u32(at, next_random() % 9 * 8);
		for (uint32_t left = *at; left > 0; left--)
			at[size++] = (uint8_t)next_random();
		break;
	default:
		put_u32(at, next_random() % 6);
		for (uint32_t left = *at; left > 0; left--)
			size += put_text(at + size);
		put_u32(at + 4, size - NUMBER_BYTES);
	}
	return size;
}

static uint32_t put_operation(uint8_t *at, uint32_t code, const char *kinds) {
	uint32_t size = 16;
	memset(at, 0, size);
	at[0] = (uint8_t)code;
	at[2] = (uint8_t)strlen(kinds);
	at[8] = (uint8_t)next_random();
	for (uint32_t i = 0; kinds[i]; i++)
		size += put_field(at + size, kinds[i]);
	put_u32(at + 4, size);
	return size;
}

/* Every operation where it may stand: four of `before`, two of `parent`, the others in `child`. */
static uint32_t build(uint8_t *bytes) {
	static const struct {
		const char *name, *kinds;
	} shapes[OPERATION_CODES] = OPERATION_SHAPES;
	static const enum operation_code elsewhere[] = {OP_MAKE_DIRECTORY, OP_INHERIT_FILE, OP_USER_NAMESPACE,
		OP_CLONE, OP_WRITE_CHILD_FILE, OP_WAIT_EXECUTED, OP_EXECUTE};
	uint32_t length = HEADER_BYTES, children = 1;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere) - 1; i++)
		length += put_operation(bytes + length, elsewhere[i], shapes[elsewhere[i]].kinds);
	for (uint32_t code = 0; code < OPERATION_CODES; code++) {
		int here = shapes[code].name != NULL;
		for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
			here &= code != elsewhere[i];
		if (here) {
			length += put_operation(bytes + length, code, shapes[code].kinds);
			children++;
		}
	}
	length += put_operation(bytes + length, OP_EXECUTE, shapes[OP_EXECUTE].kinds);
	uint32_t header[8] = {0x31504c47, length, 1, 4, 2, children};
	memcpy(bytes, header, sizeof(header));
	return length;
}

static unsigned long use_value(const struct value *value) {
	unsigned long sum = value->number;
	for (uint32_t i = 0; i < value->length; i++)
		sum += value->bytes[i];
	return sum;
}

static unsigned long use_list(const struct value *list) {
	static char *pointers[MAX_LIST_TEXTS + 1];
	unsigned long sum = list_pointers(list, pointers);
	for (char **each = pointers; *each; each++)
		sum += strlen(*each);
	return sum;
}

static unsigned long use_plan(const struct plan *plan) {
	static const struct {
		const char *name, *kinds;
	} shapes[OPERATION_CODES] = OPERATION_SHAPES;
	unsigned long sum = 0;
	for (int list = 0; list < LISTS; list++) {
		uint32_t offset = plan->starts[list];
		struct operation operation;
		for (uint32_t i = 0; i < plan->counts[list]; i++) {
			plan_operation(plan, &offset, &operation);
			sum += operation.code + strlen(operation_name(operation.code));
			const char *kinds = shapes[operation.code].kinds;
			for (uint32_t field = 0; kinds[field]; field++) {
				const struct value *value = &operation.fields[field];
				sum += kinds[field] == 'l' ? use_list(value) : use_value(value);
				if (kinds[field] == 's')
					sum += strlen(value->text);
			}
		}
	}
	return sum;
}

static uint32_t least(uint32_t a, uint32_t b) {
	return a < b ? a : b;
}

static uint32_t mutate(uint8_t *bytes, uint32_t length) {
	static const uint32_t words[] = {0, 1, 7, 8, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff};
	for (uint32_t count = 1 + next_random() % 4; count > 0 && length > HEADER_BYTES; count--) {
		uint32_t at = next_random() % (length - 4), choice = next_random() % 8;
		uint32_t from = next_random() % length & ~7u, to = at & ~7u;
		uint32_t size = least(next_random() % 64, length - (from > to ? from : to));
		if (choice < 3)
			bytes[at] ^= (uint8_t)(1u << next_random() % 8);
		else if (choice < 5)
			put_u32(bytes + (at & ~3u), words[next_random() % (sizeof(words) / sizeof(*words))]);
		else if (choice == 5)
			put_u32(bytes + (at & ~3u), next_random() % (length + 16));
		else if (choice == 6)
			memmove(bytes + to, bytes + from, size);
		else
			length -= least(size, length - HEADER_BYTES);
	}
	return length;
}

/* A heap copy of the exact size, so that one byte too far is seen. */
static unsigned long decode(const uint8_t *bytes, uint32_t length, unsigned long *accepted) {
	unsigned long sum = 0;
	struct plan plan;
	uint8_t *exact = malloc(length ? length : 1);
	memcpy(exact, bytes, length);
	if (plan_decode(&plan, exact, length)) {
		sum = use_plan(&plan);
		++*accepted;
	} else if (!plan.reason || plan.offset > length) {
		printf("refused without a reason\n");
		exit(1);
	}
	free(exact);
	return sum;
}

static void read_seed(const char *path) {
	struct seed *seed = &seeds[seed_count++];
	int fd = open(path, O_RDONLY);
	seed->bytes = malloc(SEED_BYTES);
	ssize_t length = fd < 0 ? -1 : read(fd, seed->bytes, SEED_BYTES);
	struct plan plan;
	if (length < 0 || !plan_decode(&plan, seed->bytes, (size_t)length)) {
		printf("%s is no plan: %s at %u\n", path, length < 0 ? "?" : plan.reason, length < 0 ? 0 : plan.offset);
		exit(1);
	}
	seed->length = (uint32_t)length;
	close(fd);
}

int main(int argc, char **argv) {
	static uint8_t bytes[SEED_BYTES];
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000, accepted = 0, sum = 0;
	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252ull;
	for (int i = 3; i < argc && seed_count < MAX_SEEDS; i++)
		read_seed(argv[i]);
	for (unsigned long round = 0; round < rounds; round++) {
		const struct seed *seed = seed_count ? &seeds[next_random() % seed_count] : NULL;
		uint32_t length = seed ? seed->length : build(bytes);
		if (seed)
			memcpy(bytes, seed->bytes, length);
		unsigned long valid = accepted;
		if (round < seed_count || (!seed && round == 0)) {
			sum += decode(bytes, length, &accepted);
			if (accepted == valid) {
				struct plan plan;
				plan_decode(&plan, bytes, length);
				printf("a valid plan is refused: %s at %u\n", plan.reason, plan.offset);
				return 1;
			}
		}
		length = mutate(bytes, length);
		/* Most lengths that do not fit would hide what comes behind them. */
		if (next_random() % 4)
			put_u32(bytes + 4, length);
		sum += decode(bytes, length, &accepted);
	}
	for (unsigned i = 0; i < seed_count; i++)
		free(seeds[i].bytes);
	printf("%lu rounds, %lu accepted, checksum %lu\n", rounds, accepted, sum);
	return 0;
}
