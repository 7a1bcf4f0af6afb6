/* Output on its way to attached clients: a ring, and a file for those who lag. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ring {
	uint8_t *bytes; /* RING_BYTES of reserved address space */
	uint64_t tail, head; /* positions in the stream of frames; the ring holds [tail, head) */
	int spill_fd;
	uint64_t spill_base; /* position of the file's first byte; the file holds [spill_base, tail) */
	uint64_t punched;
};

void ring_limits(uint64_t spill_limit_bytes, const char *directory);
/*
 * Makes room for `length` more bytes while the slowest client is at `slowest`. False: the writer must wait.
 */
bool ring_reserve(struct ring *ring, size_t length, uint64_t slowest);
void ring_put(struct ring *ring, const uint8_t *bytes, size_t length);
/* Sends up to `limit` bytes from `position`; as send(2). */
ssize_t ring_send(struct ring *ring, int socket, uint64_t position, size_t limit);
/* Copies bytes, for looking at a frame's header; false on a read error. */
bool ring_peek(struct ring *ring, uint64_t position, uint8_t *out, size_t length);
void ring_trim(struct ring *ring, uint64_t slowest);
void ring_clear(struct ring *ring);
