/* Requests of the daemon, and what it is told. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "connection.h"

struct process;
struct child_error;

enum handled control_frame(struct connection *connection, const struct frame *frame);
void control_started(struct process *process);
/* `status` is the runtime's exit status; `failure` has error 0 when the runtime itself failed. */
void control_failed(struct process *process, int status, const struct child_error *failure);
void control_exit(const struct process *process);
void control_oom(uint64_t count);
bool control_released(void);
