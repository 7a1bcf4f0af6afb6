/* Starting the OCI runtime. */
#pragma once
#include "frame.h"

struct process;

/* Takes the streams, forks, executes. 0 or an errno, with the step's name. */
int runtime_spawn(struct process *process, const struct frame *frame, const char **step);

/* What a child says when it cannot execute the runtime. */
struct child_error {
	int error;
	char step[32];
};
