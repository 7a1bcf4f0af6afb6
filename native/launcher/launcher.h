/* What the handlers of a plan's operations share: the state of one launch, and how they fail. */
#pragma once
#include "kernel.h"
#include "plan.h"
#include "report.h"
#include "resolve.h"

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
	int untold; /* in the child: pids that the caller has not been told yet, and so could not end */
	bool bare; /* the child enters SLOT_MOUNTS: the root goes over its root */
	bool executed; /* in the starter: the child has said that it is about to execute */
	bool in_directory; /* an attempt of workingDirectory was successful */
	bool closed; /* launch_close_from has been */
	const char *program; /* what findProgram found, for execute */
	struct launch_failure failure;
};

/*
 * A handler returns -1 after `launch_fail`, else something that is not negative. The dispatcher has looked up
 * the slots that it reads, and knows the errnos that its operation ignores.
 */
typedef int operation_handler(struct launch *, const struct value *fields);

/* Remembers errno with the step (the failed call) and the object; always -1. */
int launch_fail(struct launch *launch, const char *step, const char *object);
/* The same for an errno that is not in errno. */
int launch_fail_with(struct launch *launch, int error, const char *step, const char *object);
/* A call's result, or -1 after launch_fail when it is negative. */
int launch_check(struct launch *launch, long result, const char *step, const char *object);
/* Keeps the process out of reach: a change of identity may have made it dumpable again. */
int launch_hide(struct launch *launch);

/* Gives the slot a descriptor; the one before is closed. -1 (a failure that has been told) is passed on. */
int launch_keep(struct launch *launch, const struct value *slot, int fd);
/* As `resolve_in_root`. */
int launch_resolve(struct launch *launch, int root, const char *path, uint64_t flags);
/* All of it by one call, as files of the kernel want it. */
int launch_write(struct launch *launch, int fd, const struct value *value, const char *object);

/*
 * What a call with AT_EMPTY_PATH is to work on: a host path where no slot is named; else what `path` names in
 * the slot's ROOT, or what the slot itself is when that is empty. `fd` -1: launch_fail has been called.
 */
struct place {
	int fd;
	const char *path;
	bool opened;
};
struct place launch_place(struct launch *launch, const struct value *at, const struct value *path,
	uint64_t flags);
void place_close(const struct place *place);

/*
 * Really closes every descriptor from `first` on, and all slots, but for FIFOs and our sockets: the program's
 * path, or its interpreter's, could lead through them (/proc/self/fd/N) to the host.
 */
int launch_close_from(struct launch *launch, unsigned first);

/* What starter and child tell each other; the end of file without a failure is a successful execve. */
enum sync_kind {
	SYNC_KIND_POINT = 1,
	SYNC_KIND_FAILED = 2,
	SYNC_KIND_EXECUTING = 3, /* what comes after may be silent: the seccomp program may forbid to speak */
	SYNC_KIND_MOVED = 4, /* cloneAgain: the sender is the child now */
	SYNC_KIND_RELEASED = 5, /* the starter is done, the child goes on alone */
	SYNC_KIND_KNOWN = 6, /* the caller has the child's pid */
};

/* `pair[0]` is the starter's end. 0, or -1 with errno. */
int sync_open(int pair[2]);
int sync_say(struct launch *launch, enum sync_kind kind, uint32_t point);
/* In the child: to the starter, or, when that is done and gone, to standard error. */
void sync_failed(struct launch *launch);
/* About to give up the right to speak: false when the starter has died before it had told the pid. */
bool sync_executing(struct launch *launch);
/* Messages that have come already; true: one of them is the child's failure, now in `launch->failure`. */
bool sync_child_has_failed(struct launch *launch);

/* For one execve: two lists with their NULLs always fit, since all lists of a plan are bounded together. */
extern char *launch_vectors[MAX_LIST_TEXTS + 2];

/*
 * Carries out a plan in a fresh child of the caller. `given`: descriptors by slot number (-1: none) for the
 * slots below `given_count`, each of them close-on-exec. Ends with 0 when the program runs.
 */
noreturn void launch_execute(const struct plan *plan, const int *given, uint32_t given_count, int report);

/* One for each operation: see the table of them for what it does. */
operation_handler OPERATION_HANDLER_NAMES;
