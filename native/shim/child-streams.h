/* A child's ends of its standard streams. */
#pragma once

struct process;

struct child_streams {
	int in, out, err; /* -1: not open */
};

/* The shim's own ends go to the process. 0 or an errno; what is open stays open. */
int child_streams_open(struct process *process, struct child_streams *streams);
void child_streams_close(const struct child_streams *streams);
