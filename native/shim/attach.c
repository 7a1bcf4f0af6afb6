/* Job: the attach role of a connection. */
#include "attach.h"

#include <errno.h>
#include <stddef.h>

#include "connection.h"
#include "limits.h"
#include "process.h"
#include "protocol.h"
#include "stdio-streams.h"

static int clients_found;
static uint64_t slowest_found;
static const struct process *asked;
static struct process *moving;

static void queue_plain(struct connection *connection, uint8_t type, uint16_t tag) {
	uint8_t bytes[FRAME_HEADER_BYTES];
	struct writer writer = {.bytes = bytes, .capacity = sizeof(bytes)};
	frame_begin(&writer, type, tag);
	frame_end(&writer);
	connection_queue(connection, &writer);
}

static void queue_error(struct connection *connection, uint16_t tag, int error) {
	uint8_t bytes[128];
	struct writer writer = {.bytes = bytes, .capacity = sizeof(bytes)};
	frame_begin(&writer, FRAME_ERROR, tag);
	put_int(&writer, FIELD_ERRNO, (uint64_t)error);
	put_text(&writer, FIELD_MESSAGE, "attach");
	frame_end(&writer);
	connection_queue(connection, &writer);
	connection->end_queued = true;
}

static enum handled join(struct connection *connection, const struct frame *frame) {
	char id[MAX_EXEC_ID + 1];
	if (!field_text(frame, FIELD_EXEC_ID, id, sizeof(id)))
		return HANDLED_CLOSE;
	struct process *process = process_find(id);
	bool ended = process_main()->state >= PROCESS_ENDED;
	if (!process && !ended)
		process = process_reserve(id);
	if (!process) {
		if (!ended) {
			queue_error(connection, frame->tag, EAGAIN);
			return HANDLED;
		}
		process = process_main();
	}
	unsigned flags = (unsigned)field_int(frame, FIELD_FLAGS, 0);
	connection->process = process;
	process->clients++;
	connection->want = flags & (ATTACH_STDOUT | ATTACH_STDERR);
	connection->has_stdin = (flags & ATTACH_STDIN) != 0;
	connection->position = process->ring.head;
	queue_plain(connection, FRAME_OK, frame->tag);
	return HANDLED;
}

static enum handled attach_frame(struct connection *connection, const struct frame *frame) {
	if (frame->type == FRAME_ATTACH)
		return connection->process ? HANDLED_CLOSE : join(connection, frame);
	if (!connection->process)
		return HANDLED_CLOSE;
	if (frame->type == FRAME_STDIN)
		return connection->has_stdin ? stdin_write(connection, frame) : HANDLED;
	if (frame->type == FRAME_STDIN_EOF)
		return connection->has_stdin ? stdin_end(connection) : HANDLED;
	return HANDLED;
}

static bool wants_all(const struct connection *connection) {
	return connection->want == (ATTACH_STDOUT | ATTACH_STDERR);
}

static bool skip_or_measure(struct connection *connection) {
	uint8_t header[FRAME_HEADER_BYTES];
	if (!ring_peek(&connection->process->ring, connection->position, header, sizeof(header)))
		return false;
	uint32_t length = (uint32_t)header[0] | (uint32_t)header[1] << 8 | (uint32_t)header[2] << 16;
	unsigned flag = header[4] == FRAME_STDOUT ? ATTACH_STDOUT : ATTACH_STDERR;
	if (connection->want & flag)
		connection->frame_left = length + FRAME_HEADER_BYTES;
	else
		connection->position += length + FRAME_HEADER_BYTES;
	return true;
}

/* False: the connection takes no more. */
static bool send_output(struct connection *connection) {
	struct ring *ring = &connection->process->ring;
	while (connection->position < ring->head) {
		if (!wants_all(connection) && connection->frame_left == 0) {
			if (!skip_or_measure(connection))
				return false;
			continue;
		}
		size_t limit = wants_all(connection) ? 4 * CHUNK_BYTES : connection->frame_left;
		ssize_t sent = ring_send(ring, connection->source.fd, connection->position, limit);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN;
		connection->position += (uint64_t)sent;
		if (!wants_all(connection))
			connection->frame_left -= (uint32_t)sent;
	}
	return true;
}

static bool attach_pending(const struct connection *connection) {
	return connection->process && connection->want && connection->position < connection->process->ring.head;
}

/* The peer sends no more: once its frames are handled, this is the end of its stdin. */
static void end_input(struct connection *connection) {
	if (connection->has_stdin && !connection->stdin_blocked && stdin_end(connection) == HANDLED)
		connection->has_stdin = false;
	else if (connection->has_stdin)
		connection->stdin_blocked = true;
}

static bool attach_work(struct connection *connection) {
	struct process *process = connection->process;
	if (process && !connection->end_queued) {
		if (connection->read_closed)
			end_input(connection);
		uint64_t before = connection->position;
		if (!connection->dead && connection->out_length == 0 && connection->want && !send_output(connection))
			connection->dead = true;
		if (connection->position != before || connection->dead)
			stdio_room(process);
		if (process->streams_ended && !attach_pending(connection) && !connection->dead) {
			queue_plain(connection, FRAME_END, 0);
			connection->end_queued = true;
		}
	}
	bool useless = !process || !connection->has_stdin || connection->end_queued || process->streams_ended;
	bool abandoned = connection->dead && useless;
	if (abandoned || (connection->read_closed && !process)) {
		connection_close(connection);
		return false;
	}
	if (connection->end_queued && connection->out_length == 0) {
		connection_leave(connection);
		return false;
	}
	return true;
}

static void find_slowest(struct connection *connection) {
	if (connection->role != ROLE_ATTACH || connection->process != asked || !connection->want || connection->dead)
		return;
	clients_found++;
	if (connection->position < slowest_found)
		slowest_found = connection->position;
}

static bool attach_slowest(const struct process *process, uint64_t *slowest) {
	asked = process;
	clients_found = 0;
	slowest_found = UINT64_MAX;
	connection_each(find_slowest);
	*slowest = slowest_found;
	return clients_found > 0;
}

static void attach_closed(struct connection *connection) {
	struct process *process = connection->process;
	if (!process)
		return;
	connection->process = NULL;
	process->clients--;
	if (process->stdin_owner == connection)
		process->stdin_owner = NULL;
	stdio_room(process);
	uint64_t slowest;
	if (!attach_slowest(process, &slowest))
		ring_clear(&process->ring);
	process_settle(process);
}

static void move(struct connection *connection) {
	if (connection->role == ROLE_ATTACH && connection->process == moving)
		connection_work(connection);
}

void attach_progress(struct process *process) {
	struct process *outer = moving;
	moving = process;
	connection_each(move);
	moving = outer;
}

void attach_open(void) {
	static const struct role_work work = {
		.frame = attach_frame,
		.work = attach_work,
		.pending = attach_pending,
		.closed = attach_closed,
	};
	static const struct output_clients clients = {.slowest = attach_slowest, .progress = attach_progress};
	connection_serve(ROLE_ATTACH, &work);
	stdio_serve(&clients);
}
