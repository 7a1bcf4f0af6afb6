/* Attach clients: output to them, standard input from them. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

struct process;

enum handled attach_frame(struct connection *connection, const struct frame *frame);
/* Sends output and ends the connection when everything is said; false: it is closed. */
bool attach_work(struct connection *connection);
bool attach_pending(const struct connection *connection);
void attach_closed(struct connection *connection);
/* Connections that belong to the process. */
int attach_clients(const struct process *process);
/* True if somebody takes output; `slowest` is the position of the last of them. */
bool attach_slowest(const struct process *process, uint64_t *slowest);
/* Output, room on stdin or an end has come: everybody who is attached goes on. */
void attach_progress(struct process *process);
