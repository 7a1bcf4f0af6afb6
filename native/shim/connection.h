/* Connections of the daemon: control and attach. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "frame.h"
#include "loop.h"

/* LEAVING: the peer has got its last frame and is about to close. */
enum role { ROLE_FREE, ROLE_GREETING, ROLE_CONTROL, ROLE_ATTACH, ROLE_LEAVING };

struct process;

struct connection {
	struct source source;
	enum role role;
	unsigned generation; /* grows when the entry is used again */
	uint8_t *in;
	size_t in_length;
	uint8_t *out;
	size_t out_start, out_length;
	bool read_closed; /* the peer sends no more */
	bool dead; /* the peer takes no more */
	bool busy; /* connection_work is on the stack: what it changes must not call it again */
	/* attach only */
	struct process *process;
	unsigned want; /* enum attach_flag: the output it gets */
	bool has_stdin;
	bool stdin_blocked;
	size_t stdin_done; /* bytes of the current STDIN frame already with the process */
	uint64_t position; /* in the process's stream of frames */
	uint32_t frame_left; /* rest of the frame at `position`, when only some frames are wanted */
	bool end_queued;
	uint64_t leave_by_ns; /* leaving: when it is closed whatever the peer does */
};

enum handled { HANDLED, HANDLED_BLOCKED, HANDLED_CLOSE };

/* What a role does with its connections. Only `frame` must be there. */
struct role_work {
	enum handled (*frame)(struct connection *connection, const struct frame *frame);
	/* Sends what there is; false: the connection is closed. */
	bool (*work)(struct connection *connection);
	/* Something waits to be sent. */
	bool (*pending)(const struct connection *connection);
	void (*closed)(struct connection *connection);
};

void connection_serve(enum role role, const struct role_work *work);

void connections_open(void);
/* NULL: there are too many; the descriptor is closed. */
struct connection *connection_add(int fd);
/* Reads and handles what has been sent already. */
void connection_take(struct connection *connection);
void connection_close(struct connection *connection);
/*
 * Sends no more, and closes once the peer has closed: a socket closed with unread bytes costs the peer what
 * it has not read.
 */
void connection_leave(struct connection *connection);
/* Closes those whose peers stay too long; as stdio_deadline. */
uint64_t connection_deadline(uint64_t now_ns);
/* Handles buffered frames, sends what can be sent, closes what has to be closed. */
void connection_work(struct connection *connection);
void connection_queue(struct connection *connection, const struct writer *writer);
/* Memory of buffers that hold nothing. */
void connection_give_back(struct connection *connection);
bool connection_flush(struct connection *connection);
void connection_each(void (*visit)(struct connection *connection));
int connection_count(enum role role);
void listen_open(void);
void listen_close(void);
