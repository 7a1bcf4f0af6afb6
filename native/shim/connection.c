/* Job: the table of connections: accept, buffer, cut into frames, hand over to control or attach, send. */
#define _GNU_SOURCE
#include "connection.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "limits.h"
#include "protocol.h"
#include "scratch.h"

#define IN_BYTES (MAX_REQUEST_BYTES + 4096u)
#define BUFFER_BYTES (IN_BYTES + OUTPUT_QUEUE_BYTES)

static struct connection table[MAX_CONNECTIONS];
static uint8_t *buffers;
static const struct role_work *roles[ROLE_LEAVING + 1];
static uint64_t leave_now_ns, leave_next_ns;
static void listener_ready(struct source *source, uint32_t events);
static struct source listener = {.fd = -1, .ready = listener_ready};

void connection_serve(enum role role, const struct role_work *work) {
	roles[role] = work;
}

void connections_open(void) {
	buffers = mmap(NULL, (size_t)BUFFER_BYTES * MAX_CONNECTIONS, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (buffers == MAP_FAILED)
		die("reserve buffers", errno);
}

static bool greet(struct connection *connection, const struct frame *frame) {
	if (frame->type == FRAME_CONTROL)
		connection->role = ROLE_CONTROL;
	else if (frame->type == FRAME_ATTACH)
		connection->role = ROLE_ATTACH;
	return connection->role != ROLE_GREETING;
}

static enum handled dispatch(struct connection *connection, const struct frame *frame) {
	bool raw = frame->type == FRAME_STDIN;
	if (!raw && !fields_valid(frame))
		return HANDLED_CLOSE;
	if (connection->role == ROLE_GREETING && !greet(connection, frame))
		return HANDLED_CLOSE;
	return roles[connection->role]->frame(connection, frame);
}

/* False: the connection is closed. */
static bool handle_frames(struct connection *connection) {
	size_t start = 0;
	enum handled handled = HANDLED;
	struct frame frame;
	while (handled == HANDLED && connection->out_length < OUTPUT_PAUSE_BYTES && !connection->end_queued) {
		enum frame_result result = frame_parse(connection->in + start, connection->in_length - start, &frame);
		if (result == FRAME_PARTIAL)
			break;
		handled = result == FRAME_BROKEN ? HANDLED_CLOSE : dispatch(connection, &frame);
		if (connection->role == ROLE_FREE)
			return false;
		if (handled == HANDLED)
			start += FRAME_HEADER_BYTES + frame.length;
	}
	if (handled == HANDLED_CLOSE) {
		connection_close(connection);
		return false;
	}
	connection->stdin_blocked = handled == HANDLED_BLOCKED;
	if (start > 0) {
		connection->in_length -= start;
		memmove(connection->in, connection->in + start, connection->in_length);
	}
	return true;
}

static bool pending(const struct connection *connection) {
	const struct role_work *role = roles[connection->role];
	return role && role->pending && role->pending(connection);
}

static void want_events(struct connection *connection) {
	if (connection->dead) {
		loop_want(&connection->source, 0);
		return;
	}
	/* PRI never comes: it keeps a silent connection in the set for the sake of HUP. */
	uint32_t events = EPOLLPRI;
	if (!connection->read_closed && !connection->stdin_blocked && !connection->end_queued &&
		connection->out_length < OUTPUT_PAUSE_BYTES && connection->in_length < IN_BYTES)
		events |= EPOLLIN;
	if (connection->out_length > 0 || pending(connection))
		events |= EPOLLOUT;
	loop_want(&connection->source, events);
}

/* Its last bytes are for nobody. */
static void work_leaving(struct connection *connection) {
	connection->in_length = 0;
	if (connection->read_closed || connection->dead)
		connection_close(connection);
	else
		loop_want(&connection->source, EPOLLIN);
}

static void work(struct connection *connection) {
	if (connection->role == ROLE_LEAVING) {
		work_leaving(connection);
		return;
	}
	if (!handle_frames(connection))
		return;
	if (!connection->dead && !connection_flush(connection))
		connection->dead = true;
	if (roles[connection->role] && roles[connection->role]->work) {
		if (roles[connection->role]->work(connection))
			want_events(connection);
	} else if (connection->dead || connection->read_closed) {
		connection_close(connection);
	} else {
		want_events(connection);
	}
}

void connection_work(struct connection *connection) {
	if (connection->role == ROLE_FREE || connection->busy)
		return;
	connection->busy = true;
	work(connection);
	connection->busy = false;
}

static void receive(struct connection *connection) {
	while (connection->in_length < IN_BYTES) {
		size_t room = IN_BYTES - connection->in_length;
		ssize_t got = read(connection->source.fd, connection->in + connection->in_length, room);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno != EAGAIN)
			connection->dead = connection->read_closed = true;
		if (got == 0)
			connection->read_closed = true;
		if (got > 0)
			connection->in_length += (size_t)got;
		if (got <= 0 || (size_t)got < room)
			return;
	}
}

static void connection_ready(struct source *source, uint32_t events) {
	struct connection *connection = (struct connection *)source;
	scratch_used();
	bool hung_up = (events & (EPOLLHUP | EPOLLERR)) != 0;
	if (hung_up)
		connection->dead = true;
	if (((events & EPOLLIN) != 0 || hung_up) && !connection->read_closed)
		receive(connection);
	/* What does not fit into the buffer of a connection that is gone is lost with it. */
	if (hung_up)
		connection->read_closed = true;
	connection_work(connection);
}

struct connection *connection_add(int fd) {
	for (size_t i = 0; i < MAX_CONNECTIONS; i++) {
		struct connection *connection = &table[i];
		if (connection->role != ROLE_FREE)
			continue;
		struct connection fresh = {.role = ROLE_GREETING, .generation = connection->generation + 1};
		fresh.in = buffers + i * BUFFER_BYTES;
		fresh.out = fresh.in + IN_BYTES;
		fresh.source = (struct source){.fd = fd, .ready = connection_ready};
		*connection = fresh;
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		loop_want(&connection->source, EPOLLIN);
		return connection;
	}
	close(fd);
	return NULL;
}

void connection_take(struct connection *connection) {
	if (connection)
		connection_ready(&connection->source, EPOLLIN);
}

void connection_close(struct connection *connection) {
	if (connection->role == ROLE_FREE)
		return;
	enum role role = connection->role;
	loop_want(&connection->source, 0);
	close(connection->source.fd);
	connection->role = ROLE_FREE;
	madvise(connection->in, BUFFER_BYTES, MADV_DONTNEED);
	if (roles[role] && roles[role]->closed)
		roles[role]->closed(connection);
}

void connection_leave(struct connection *connection) {
	enum role role = connection->role;
	if (connection->read_closed || connection->dead || shutdown(connection->source.fd, SHUT_WR) < 0) {
		connection_close(connection);
		return;
	}
	connection->role = ROLE_LEAVING;
	connection->leave_by_ns = steady_clock_ns() + LEAVE_LIMIT_NS;
	work_leaving(connection);
	if (roles[role] && roles[role]->closed)
		roles[role]->closed(connection);
}

static void check_leaving(struct connection *connection) {
	if (connection->role != ROLE_LEAVING)
		return;
	if (connection->leave_by_ns <= leave_now_ns) {
		scratch_used();
		connection_close(connection);
	} else if (leave_next_ns == 0 || connection->leave_by_ns < leave_next_ns) {
		leave_next_ns = connection->leave_by_ns;
	}
}

uint64_t connection_deadline(uint64_t now_ns) {
	leave_now_ns = now_ns;
	leave_next_ns = 0;
	connection_each(check_leaving);
	return leave_next_ns;
}

void connection_give_back(struct connection *connection) {
	if (connection->in_length == 0)
		madvise(connection->in, IN_BYTES, MADV_DONTNEED);
	if (connection->out_length == 0)
		madvise(connection->out, OUTPUT_QUEUE_BYTES, MADV_DONTNEED);
}

bool connection_flush(struct connection *connection) {
	while (connection->out_length > 0) {
		ssize_t sent = send(connection->source.fd, connection->out + connection->out_start, connection->out_length,
			MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return errno == EAGAIN;
		connection->out_start += (size_t)sent;
		connection->out_length -= (size_t)sent;
	}
	connection->out_start = 0;
	return true;
}

/* A peer that leaves this much unread has stopped; it may connect again and ask. */
void connection_queue(struct connection *connection, const struct writer *writer) {
	if (connection->out_start > 0) {
		memmove(connection->out, connection->out + connection->out_start, connection->out_length);
		connection->out_start = 0;
	}
	if (connection->out_length + writer->length > OUTPUT_QUEUE_BYTES) {
		shutdown(connection->source.fd, SHUT_RDWR);
		return;
	}
	memcpy(connection->out + connection->out_length, writer->bytes, writer->length);
	connection->out_length += writer->length;
	if (!connection_flush(connection))
		shutdown(connection->source.fd, SHUT_RDWR);
	else if (connection->out_length > 0)
		want_events(connection);
}

void connection_each(void (*visit)(struct connection *connection)) {
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		if (table[i].role != ROLE_FREE)
			visit(&table[i]);
}

int connection_count(enum role role) {
	int count = 0;
	for (size_t i = 0; i < MAX_CONNECTIONS; i++)
		count += table[i].role == role;
	return count;
}

static void listener_ready(struct source *source, uint32_t events) {
	(void)events;
	int fd = accept4(source->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		connection_add(fd);
}

/* The name is relative to the task directory, whose path may be too long for a socket address. */
void listen_open(void) {
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "shim.sock"};
	listener.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(address.sun_path);
	mode_t mask = umask(0177);
	if (listener.fd < 0 || bind(listener.fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		listen(listener.fd, 64) < 0)
		die("listen on shim.sock", errno);
	umask(mask);
	loop_want(&listener, EPOLLIN);
}

void listen_close(void) {
	if (listener.fd < 0)
		return;
	loop_want(&listener, 0);
	close(listener.fd);
	listener.fd = -1;
	unlink("shim.sock");
}
