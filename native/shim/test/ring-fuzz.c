/*
 * Job: put, send, trim and spill at random, and compare with what must come out. `ring-fuzz ROUNDS [SEED]`,
 * in a directory where a spill file may be made.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "limits.h"
#include "ring.h"

#define PIECE_BYTES (96 * 1024)

static uint64_t state;
static uint8_t piece[PIECE_BYTES];

static uint32_t next_random(void) {
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

/* The stream's byte at a position: what lies where is seen by its value. */
static uint8_t byte_at(uint64_t position) {
	return (uint8_t)(position * 2654435761u >> 13);
}

static void expect(const uint8_t *bytes, uint64_t position, size_t length) {
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != byte_at(position + i)) {
			printf("a wrong byte at %llu\n", (unsigned long long)(position + i));
			exit(1);
		}
}

static void put(struct ring *ring, uint64_t slowest) {
	size_t length = next_random() % PIECE_BYTES;
	if (!ring_reserve(ring, length, slowest))
		return;
	for (size_t i = 0; i < length; i++)
		piece[i] = byte_at(ring->head + i);
	ring_put(ring, piece, length);
}

static void look(struct ring *ring, uint64_t slowest) {
	uint64_t left = ring->head - slowest, position = slowest + next_random() % (left + 1);
	size_t length = next_random() % 64;
	if (length > ring->head - position)
		length = (size_t)(ring->head - position);
	if (!ring_peek(ring, position, piece, length)) {
		printf("peek: errno %d\n", errno);
		exit(1);
	}
	expect(piece, position, length);
}

static uint64_t take(struct ring *ring, const int sockets[2], uint64_t slowest) {
	size_t limit = 1 + next_random() % PIECE_BYTES;
	ssize_t sent = ring->head > slowest ? ring_send(ring, sockets[0], slowest, limit) : 0;
	if (sent < 0) {
		printf("send: errno %d\n", errno);
		exit(1);
	}
	for (ssize_t got = 0; got < sent;) {
		ssize_t more = read(sockets[1], piece, (size_t)(sent - got));
		if (more <= 0)
			exit(1);
		expect(piece, slowest + (uint64_t)got, (size_t)more);
		got += more;
	}
	ring_trim(ring, slowest + (uint64_t)sent);
	return slowest + (uint64_t)sent;
}

int main(int argc, char **argv) {
	struct ring ring = {.bytes = malloc(RING_BYTES), .spill_fd = -1};
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 2000;
	uint64_t slowest = 0, spilled = 0;
	int sockets[2];
	state = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252ull;
	if (!ring.bytes || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) < 0)
		return 1;
	ring_limits(8 * MIB, ".");
	for (unsigned long round = 0; round < rounds; round++) {
		/* Now the writer is faster, now the reader. */
		uint32_t choice = next_random() % 8, puts = round / 100 % 2 ? 5 : 2;
		if (choice < puts)
			put(&ring, slowest);
		else if (choice < 7)
			slowest = take(&ring, sockets, slowest);
		else
			look(&ring, slowest);
		spilled += ring.spill_fd >= 0;
		if (ring.head - ring.tail > RING_BYTES)
			return 1;
	}
	if (ring.spill_fd >= 0)
		close(ring.spill_fd);
	free(ring.bytes);
	printf("%lu rounds, %llu bytes, %llu rounds with a file\n", rounds, (unsigned long long)ring.head,
		(unsigned long long)spilled);
	return 0;
}
