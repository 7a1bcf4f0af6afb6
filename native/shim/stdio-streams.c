/*
 * Job: move bytes between a process and its log and clients. Only a full spill file makes the process wait.
 */
#include "stdio-streams.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "limits.h"
#include "log.h"
#include "process.h"
#include "protocol.h"
#include "scratch.h"

static bool had_little; /* a pipe was emptied and gave only a little */
static const struct output_clients *clients;
static uint8_t *const chunk = scratch.output;

#define OWNER(source, member) ((struct process *)((char *)(source) - offsetof(struct process, member)))

void stdio_serve(const struct output_clients *given) {
	clients = given;
}

static void close_source(struct source *source) {
	if (source->fd < 0)
		return;
	loop_want(source, 0);
	close(source->fd);
	source->fd = -1;
}

static bool is_main(const struct process *process) {
	return process == process_main();
}

static void check_end(struct process *process) {
	if (process->out.fd >= 0 || process->err.fd >= 0 || process->state < PROCESS_ENDED)
		return;
	process->streams_ended = true;
	process->deadline_ns = 0;
}

static void end_of_output(struct process *process, struct source *source) {
	close_source(source);
	if (is_main(process))
		log_finish(source == &process->err ? LOG_STDERR : LOG_STDOUT);
	check_end(process);
}

static void deliver(struct process *process, const struct source *source, size_t length) {
	bool is_err = source == &process->err;
	uint64_t slowest;
	if (is_main(process))
		log_write(is_err ? LOG_STDERR : LOG_STDOUT, chunk + FRAME_HEADER_BYTES, length);
	if (!clients->slowest(process, &slowest))
		return;
	frame_header(chunk, is_err ? FRAME_STDERR : FRAME_STDOUT, (uint32_t)length);
	ring_put(&process->ring, chunk, FRAME_HEADER_BYTES + length);
	clients->progress(process);
}

static void pause_output(struct process *process) {
	process->paused = true;
	if (process->out.fd >= 0)
		loop_want(&process->out, 0);
	if (process->err.fd >= 0)
		loop_want(&process->err, 0);
}

/* A terminal that nobody has open answers EIO; the process may open it again. */
static void hang_up(struct process *process, struct source *source) {
	if (process->terminal && process->state == PROCESS_RUNNING) {
		loop_want(source, 0);
		process->deadline_ns = steady_clock_ns() + TERMINAL_RETRY_NS;
		return;
	}
	end_of_output(process, source);
}

/* Reads at most `reads` times; stops when there is nothing more for now. */
static void read_output(struct process *process, struct source *source, int reads) {
	while (source->fd >= 0 && reads-- > 0) {
		uint64_t slowest;
		if (clients->slowest(process, &slowest) && !ring_reserve(&process->ring, sizeof(scratch.output), slowest)) {
			pause_output(process);
			return;
		}
		ssize_t got = read(source->fd, chunk + FRAME_HEADER_BYTES, CHUNK_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return;
		if (got <= 0) {
			hang_up(process, source);
			return;
		}
		scratch_used();
		deliver(process, source, (size_t)got);
		if ((size_t)got < CHUNK_BYTES && !process->terminal && process->state == PROCESS_RUNNING) {
			had_little = had_little || got < GATHER_BELOW_BYTES;
			return;
		}
	}
}

/*
 * A quick writer of small pieces would wake us for each of them, which costs both of us more than the bytes.
 * A pause lets one read take many; it comes only when little was read twice in a row, so that a single line
 * is never late.
 */
void stdio_gather(void) {
	static uint64_t last_ns;
	const struct timespec pause = {.tv_nsec = GATHER_PAUSE_NS};
	if (!had_little)
		return;
	had_little = false;
	if (steady_clock_ns() - last_ns < GATHER_WITHIN_NS)
		nanosleep(&pause, NULL);
	last_ns = steady_clock_ns();
}

static void out_ready(struct source *source, uint32_t events) {
	struct process *process = OWNER(source, out);
	(void)events;
	read_output(process, source, READS_PER_WAKE);
	if (process->streams_ended) {
		clients->progress(process);
		process_settle(process);
	}
}

static void err_ready(struct source *source, uint32_t events) {
	struct process *process = OWNER(source, err);
	(void)events;
	read_output(process, source, READS_PER_WAKE);
	if (process->streams_ended) {
		clients->progress(process);
		process_settle(process);
	}
}

void stdio_watch(struct process *process) {
	process->out.ready = out_ready;
	process->err.ready = err_ready;
	process->paused = false;
	if (process->out.fd >= 0)
		loop_want(&process->out, EPOLLIN);
	if (process->err.fd >= 0)
		loop_want(&process->err, EPOLLIN);
}

void stdio_drain(struct process *process) {
	/* Twice a pipe's size is more than can be left; a stranger who holds the pipe must not keep us here. */
	read_output(process, &process->out, 64);
	read_output(process, &process->err, 64);
	if (process->out.fd >= 0 || process->err.fd >= 0)
		process->deadline_ns = steady_clock_ns() + HANG_UP_GRACE_NS;
	check_end(process);
	stdin_close(process);
	clients->progress(process);
}

void stdio_room(struct process *process) {
	uint64_t slowest;
	bool any = clients->slowest(process, &slowest);
	ring_trim(&process->ring, any ? slowest : process->ring.head);
	if (process->paused && (!any || ring_reserve(&process->ring, sizeof(scratch.output), slowest)))
		stdio_watch(process);
}

void stdio_give_back(struct process *process) {
	uint64_t slowest;
	if (!clients->slowest(process, &slowest) || slowest == process->ring.head)
		ring_clear(&process->ring);
}

void stdin_close(struct process *process) {
	close_source(&process->in);
	process->stdin_owner = NULL;
}

void stdio_close(struct process *process) {
	stdin_close(process);
	close_source(&process->out);
	close_source(&process->err);
	close_source(&process->console);
	check_end(process);
}

uint64_t stdio_deadline(struct process *process, uint64_t now_ns) {
	if (process->deadline_ns == 0)
		return 0;
	if (process->deadline_ns > now_ns)
		return process->deadline_ns;
	process->deadline_ns = 0;
	if (process->paused) {
		process->deadline_ns = now_ns + HANG_UP_GRACE_NS;
	} else if (process->state < PROCESS_ENDED) {
		stdio_watch(process);
	} else {
		end_of_output(process, &process->out);
		end_of_output(process, &process->err);
		clients->progress(process);
		process_settle(process);
	}
	return process->deadline_ns;
}

static void in_ready(struct source *source, uint32_t events) {
	struct process *process = OWNER(source, in);
	loop_want(source, 0);
	if (events & EPOLLERR)
		stdin_close(process);
	clients->progress(process);
	/* Those who were looked at before the owner of the pipe let it go. */
	if (process->in.fd < 0)
		clients->progress(process);
}

static bool not_yet(const struct process *process) {
	return process->state == PROCESS_NEW || process->state == PROCESS_STARTING;
}

enum handled stdin_write(struct connection *connection, const struct frame *frame) {
	struct process *process = connection->process;
	if (not_yet(process) && !process->streams_ended)
		return HANDLED_BLOCKED;
	if (process->stdin_owner && process->stdin_owner != connection)
		return HANDLED_BLOCKED;
	while (process->in.fd >= 0 && connection->stdin_done < frame->length) {
		size_t left = frame->length - connection->stdin_done;
		ssize_t written = write(process->in.fd, frame->payload + connection->stdin_done, left);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && errno == EAGAIN) {
			process->stdin_owner = connection;
			process->in.ready = in_ready;
			loop_want(&process->in, EPOLLOUT);
			return HANDLED_BLOCKED;
		}
		if (written < 0)
			stdin_close(process);
		else
			connection->stdin_done += (size_t)written;
	}
	connection->stdin_done = 0;
	if (process->stdin_owner == connection) {
		process->stdin_owner = NULL;
		if (process->in.fd >= 0)
			loop_want(&process->in, EPOLLOUT);
	}
	return HANDLED;
}

enum handled stdin_end(struct connection *connection) {
	struct process *process = connection->process;
	if (not_yet(process) && !process->streams_ended)
		return HANDLED_BLOCKED;
	bool once = !is_main(process) || (process->flags & START_STDIN_ONCE) != 0;
	if (once && !process->terminal) {
		stdin_close(process);
		clients->progress(process);
	}
	return HANDLED;
}
