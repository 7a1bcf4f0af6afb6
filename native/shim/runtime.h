/* Starting the OCI runtime. */
#pragma once
#include "frame.h"

struct process;

/* Once, at the beginning: what the children get back. */
void runtime_remember_oom_score(void);
/*
 * Once, before any other descriptor is opened: takes over those that were inherited, the last of them `ports`
 * bound sockets.
 */
void runtime_hold_inherited(unsigned ports);
/* The ports are free again before anybody hears of the end. */
void runtime_drop_ports(void);
void runtime_drop_rootfs(void);
/* Takes the streams, forks, executes. 0 or an errno, with the step's name. */
int runtime_spawn(struct process *process, const struct frame *frame, const char **step);

/* What a child says when it cannot execute the runtime. */
struct child_error {
	int error;
	char step[32];
};
