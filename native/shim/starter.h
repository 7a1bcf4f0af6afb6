/* Starting a process by a launch plan. */
#pragma once
#include "frame.h"

struct launch_failure;
struct process;

/* Takes the streams, forks the starter. 0 or an errno, with the step's name. */
int starter_spawn(struct process *process, const struct frame *frame, const char **step);
/* Takes over what the starter has told so far: the process, its terminal. */
void starter_collect(struct process *process);
/* After the starter's end: why it failed, NULL when it told nothing. */
const struct launch_failure *starter_failure(const struct process *process);
/* What was made while it worked is there. 0 or an errno. */
int starter_network_ready(struct process *process);
void starter_close(struct process *process);
