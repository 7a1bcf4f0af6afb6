/* The standard streams of a process: from its pipes or terminal to log and clients, and back. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

struct process;

/* Who takes output. */
struct output_clients {
	/* True if somebody takes output; `slowest` is the position of the last of them. */
	bool (*slowest)(const struct process *process, uint64_t *slowest);
	/* Output, room on stdin or an end has come: everybody who is attached goes on. */
	void (*progress)(struct process *process);
};

void stdio_serve(const struct output_clients *clients);
/* Output is looked at from now on. */
void stdio_watch(struct process *process);
/* The process has ended: takes what it has written; what others still hold open gets a time limit. */
void stdio_drain(struct process *process);
/* Before waiting again: a short pause when output comes in many small pieces. */
void stdio_gather(void);
/* Clients have taken output: a waiting process may go on. */
void stdio_room(struct process *process);
/* Memory of output that everybody has. */
void stdio_give_back(struct process *process);
void stdio_close(struct process *process);
void stdin_close(struct process *process);
/* Acts on a deadline that has passed; returns the next one, 0 = none. */
uint64_t stdio_deadline(struct process *process, uint64_t now_ns);

enum handled stdin_write(struct connection *connection, const struct frame *frame);
enum handled stdin_end(struct connection *connection);
