/* Starting a process by a launch plan. */
#pragma once
#include <stdnoreturn.h>

#include "../launcher/operations.h"
#include "frame.h"

struct launch_failure;
struct process;

/* What one starter is to carry out. */
struct order {
	const uint8_t *plan;
	size_t length;
	int given[SLOT_FIRST]; /* descriptors by slot, -1: none */
	int report;
};

/* In the starter itself. */
noreturn void starter_run(const struct order *order);

/* Takes the streams, puts a starter to work. 0 or an errno, with the step's name. */
int starter_spawn(struct process *process, const struct frame *frame, const char **step);
/* Takes over what the starter has told so far: the process, its terminal. */
void starter_collect(struct process *process);
/* After the starter's end: why it failed, NULL when it told nothing. */
const struct launch_failure *starter_failure(const struct process *process);
/* What was made while it worked is there. 0 or an errno. */
int starter_network_ready(struct process *process);
void starter_close(struct process *process);
