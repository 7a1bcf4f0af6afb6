/* What the handlers of a plan's operations share: the state of one launch, and how they fail. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdnoreturn.h>
#include <sys/types.h>

#include "plan.h"
#include "report.h"

struct launch {
	const struct plan *plan;
	int slots[MAX_SLOTS]; /* slot → descriptor, -1: empty */
	int report; /* to the caller */
	int sync; /* this side's end of the pair between starter and child, -1 before the clone */
	enum plan_list list; /* the one that is running here */
	bool failing; /* the other side's failure is in `failure` already */
	pid_t child; /* in the starter, after the clone; as the starter sees it */
	int child_fd; /* the same as a pidfd: its number is free once the caller has reaped it */
	bool released; /* in the child: the starter was done and may be gone */
	bool executed; /* in the starter: the child has said that it is about to execute */
	bool in_directory; /* an attempt of workingDirectory was successful */
	bool closed; /* launch_close_from has been */
	const char *program; /* what findProgram found, for execute */
	struct launch_failure failure;
};

/*
 * A handler returns 0, or -1 after `launch_fail`. Errnos in `operation->ignored` are the dispatcher's business.
 */
typedef int operation_handler(struct launch *, const struct operation *);

/* Remembers errno with the step (the failed call) and the object; always -1. */
int launch_fail(struct launch *launch, const char *step, const char *object);
/* The same for an errno that is not in errno. */
int launch_fail_with(struct launch *launch, int error, const char *step, const char *object);

/* Descriptor of a slot field; -1 after launch_fail when the slot is empty. */
int launch_slot(struct launch *launch, const struct value *slot);
/* The same; NO_SLOT gives AT_FDCWD. */
int launch_place(struct launch *launch, const struct value *slot);
/* Gives the slot a descriptor; the one before is closed. Returns 0. */
int launch_keep(struct launch *launch, const struct value *slot, int fd);

/*
 * Really closes every descriptor from `first` on, and all slots, but for FIFOs and our sockets: the program's
 * path, or its interpreter's, could lead through them (/proc/self/fd/N) to the host. 0, or -1 after launch_fail.
 */
int launch_close_from(struct launch *launch, unsigned first);

/*
 * Room for the argument vectors of one execve: two lists with their NULLs always fit, since all lists of a
 * plan are bounded together.
 */
extern char *launch_vectors[MAX_LIST_TEXTS + 2];

/*
 * Carries out a plan in a fresh child of the caller. `given` are descriptors by slot number (-1: none), for the
 * slots below `given_count`; every one of them should be close-on-exec. Ends with 0 when the program runs.
 */
noreturn void launch_execute(const struct plan *plan, const int *given, uint32_t given_count, int report);

/* One for each operation: see the table of them for what it does. */
operation_handler OPERATION_HANDLER_NAMES;
