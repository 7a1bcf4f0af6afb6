/*
 * Job: keep the output that attached clients have not taken yet; memory stays at one ring, the rest is on a
 * disk.
 */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <string.h>

#include "error.h"
#include "limits.h"
#include "scratch.h"

static uint64_t spill_limit = SPILL_DEFAULT_BYTES;
static const char *spill_directory = ".";

void ring_limits(uint64_t spill_limit_bytes, const char *directory) {
	spill_limit = spill_limit_bytes;
	if (directory[0])
		spill_directory = keep_text(directory);
}

static int open_spill(void) {
	int fd = open(spill_directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
	if (fd >= 0)
		return fd;
	char path[MAX_PATH_BYTES + 32];
	snprintf(path, sizeof(path), "%s/.spill-%d", spill_directory, (int)getpid());
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static bool write_spill(struct ring *ring, uint64_t position, const uint8_t *bytes, size_t length) {
	while (length > 0) {
		ssize_t written = pwrite(ring->spill_fd, bytes, length, (off_t)(position - ring->spill_base));
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return false;
		position += (uint64_t)written;
		bytes += written;
		length -= (size_t)written;
	}
	return true;
}

/*
 * Moves `length` bytes from the ring's tail into the file. A failed write moves nothing and is tried again
 * later.
 */
static bool spill(struct ring *ring, size_t length) {
	if (ring->spill_fd < 0) {
		ring->spill_fd = open_spill();
		if (ring->spill_fd < 0) {
			complain("open spill file", errno);
			return false;
		}
		ring->spill_base = ring->tail;
		ring->punched = ring->tail;
	}
	size_t offset = ring->tail % RING_BYTES;
	size_t first = RING_BYTES - offset < length ? RING_BYTES - offset : length;
	return write_spill(ring, ring->tail, ring->bytes + offset, first) &&
		write_spill(ring, ring->tail + first, ring->bytes, length - first);
}

static void close_spill(struct ring *ring) {
	if (ring->spill_fd >= 0)
		close(ring->spill_fd);
	ring->spill_fd = -1;
}

bool ring_reserve(struct ring *ring, size_t length, uint64_t slowest) {
	uint64_t used = ring->head - ring->tail;
	if (RING_BYTES - used >= length)
		return true;
	size_t evicted = length;
	if (evicted > used)
		evicted = used;
	if (slowest < ring->tail + evicted) {
		if (ring->tail + evicted - slowest > spill_limit || !spill(ring, evicted))
			return false;
	} else {
		close_spill(ring);
	}
	ring->tail += evicted;
	return true;
}

void ring_put(struct ring *ring, const uint8_t *bytes, size_t length) {
	size_t offset = ring->head % RING_BYTES;
	size_t first = RING_BYTES - offset < length ? RING_BYTES - offset : length;
	memcpy(ring->bytes + offset, bytes, first);
	memcpy(ring->bytes, bytes + first, length - first);
	ring->head += length;
}

ssize_t ring_send(struct ring *ring, int socket, uint64_t position, size_t limit) {
	if (position < ring->tail) {
		/*
		 * Not sendfile: the socket would hold the file's own pages, and a hole punched later would zero what is in
		 * flight.
		 */
		uint64_t left = ring->tail - position;
		if (left > limit)
			left = limit;
		if (left > sizeof(scratch.from_spill))
			left = sizeof(scratch.from_spill);
		ssize_t got = pread(ring->spill_fd, scratch.from_spill, left, (off_t)(position - ring->spill_base));
		if (got == 0)
			errno = EIO;
		return got <= 0 ? -1 : send(socket, scratch.from_spill, (size_t)got, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	size_t offset = position % RING_BYTES;
	uint64_t left = ring->head - position;
	if (left > limit)
		left = limit;
	size_t first = RING_BYTES - offset < left ? RING_BYTES - offset : left;
	return send(socket, ring->bytes + offset, first, MSG_NOSIGNAL | MSG_DONTWAIT);
}

bool ring_peek(struct ring *ring, uint64_t position, uint8_t *out, size_t length) {
	for (size_t i = 0; i < length; i++, position++) {
		if (position >= ring->tail)
			out[i] = ring->bytes[position % RING_BYTES];
		else if (pread(ring->spill_fd, out + i, 1, (off_t)(position - ring->spill_base)) != 1)
			return false;
	}
	return true;
}

void ring_trim(struct ring *ring, uint64_t slowest) {
	if (ring->spill_fd < 0)
		return;
	if (slowest >= ring->tail) {
		close_spill(ring);
	} else if (slowest - ring->punched >= SPILL_PUNCH_BYTES) {
		off_t from = (off_t)(ring->punched - ring->spill_base), length = (off_t)(slowest - ring->punched);
		fallocate(ring->spill_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, from, length);
		ring->punched = slowest;
	}
}

void ring_clear(struct ring *ring) {
	close_spill(ring);
	if (ring->head != 0 && ring->bytes)
		madvise(ring->bytes, RING_BYTES, MADV_DONTNEED);
	ring->tail = ring->head;
}
