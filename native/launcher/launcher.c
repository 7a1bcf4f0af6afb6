/* Job: carry out a plan: starter, clone, child; dispatch each operation to its handler; report a failure. */
#define _GNU_SOURCE
#include "launcher.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel.h"
#include "sync.h"

#define DEFAULT_UMASK 022

char *launch_vectors[MAX_LIST_TEXTS + 2];

static operation_handler *const handlers[OPERATION_CODES] = OPERATION_HANDLERS;

static void copy_text(char *into, size_t size, const char *text) {
	size_t length = strnlen(text, size - 1);
	memcpy(into, text, length);
	into[length] = 0;
}

int launch_fail_with(struct launch *launch, int error, const char *step, const char *object) {
	launch->failure.error = error;
	copy_text(launch->failure.step, REPORT_STEP_BYTES, step);
	copy_text(launch->failure.object, REPORT_OBJECT_BYTES, object);
	return -1;
}

int launch_fail(struct launch *launch, const char *step, const char *object) {
	return launch_fail_with(launch, errno, step, object);
}

int launch_slot(struct launch *launch, const struct value *slot) {
	if (slot->number < MAX_SLOTS && launch->slots[slot->number] >= 0)
		return launch->slots[slot->number];
	return launch_fail_with(launch, EBADF, "slot", "an empty slot");
}

int launch_place(struct launch *launch, const struct value *slot) {
	return slot->number == NO_SLOT ? AT_FDCWD : launch_slot(launch, slot);
}

int launch_keep(struct launch *launch, const struct value *slot, int fd) {
	if (launch->slots[slot->number] >= 0)
		close(launch->slots[slot->number]);
	launch->slots[slot->number] = fd;
	return 0;
}

static bool ignored(const struct operation *operation, int error) {
	for (int i = 0; i < MAX_IGNORED; i++)
		if (operation->ignored[i] && operation->ignored[i] == error)
			return true;
	return false;
}

/* From the seccomp program or the execve on, silence means success. */
static void announce(struct launch *launch, uint32_t code) {
	if (launch->executed || launch->list != LIST_CHILD || (code != OP_SECCOMP && code != OP_EXECUTE))
		return;
	if (!sync_executing(launch))
		_exit(1);
	launch->executed = true;
}

static int run(struct launch *launch, enum plan_list list) {
	struct operation operation;
	uint32_t offset = launch->plan->starts[list];
	launch->list = list;
	for (uint32_t i = 0; i < launch->plan->counts[list]; i++) {
		plan_operation(launch->plan, &offset, &operation);
		announce(launch, operation.code);
		launch->failure = (struct launch_failure){.list = list, .index = i, .code = operation.code};
		if (handlers[operation.code](launch, &operation) == 0)
			continue;
		if (launch->failing || !ignored(&operation, launch->failure.error))
			return -1;
	}
	return 0;
}

static noreturn void run_child(struct launch *launch) {
	if (run(launch, LIST_CHILD) < 0 && !launch->failing)
		sync_failed(launch);
	_exit(1);
}

/* The last operation of `before`. The child is born with the starter's parent for its own. */
int op_clone(struct launch *launch, const struct operation *operation) {
	struct kernel_clone_args args = {
		.flags = operation->fields[CLONE_FLAGS].number | CLONE_PARENT | KERNEL_CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&launch->child_fd,
	};
	int pair[2];
	if (operation->fields[CLONE_CGROUP].number != NO_SLOT) {
		int cgroup = launch_slot(launch, &operation->fields[CLONE_CGROUP]);
		if (cgroup < 0)
			return -1;
		args.flags |= KERNEL_CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)cgroup;
	}
	if (sync_open(pair) < 0)
		return launch_fail(launch, "socketpair", "sync");
	pid_t child = kernel_clone3(&args);
	if (child < 0)
		return launch_fail(launch, "clone3", "");
	launch->sync = pair[child == 0];
	close(pair[child != 0]);
	if (child == 0)
		run_child(launch);
	launch->child = child;
	report_pid(launch->report, child);
	return 0;
}

static noreturn void fail(struct launch *launch) {
	/* A child that has failed is the reason for what the starter could not do with it. */
	if (launch->child > 0)
		sync_child_has_failed(launch);
	if (launch->child > 0)
		kernel_pidfd_signal(launch->child_fd, SIGKILL);
	report_failed(launch->report, &launch->failure);
	_exit(1);
}

noreturn void launch_execute(const struct plan *plan, const int *given, uint32_t given_count, int report) {
	static struct launch launch;
	launch.plan = plan;
	launch.report = report;
	launch.sync = -1;
	for (uint32_t i = 0; i < MAX_SLOTS; i++)
		launch.slots[i] = i < given_count ? given[i] : -1;
	/* Wait for hooks, whatever the caller does about its children. */
	signal(SIGCHLD, SIG_DFL);
	umask(DEFAULT_UMASK);
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) {
		launch_fail(&launch, "prctl", "PR_SET_DUMPABLE");
		fail(&launch);
	}
	if (run(&launch, LIST_BEFORE) < 0 || run(&launch, LIST_PARENT) < 0)
		fail(&launch);
	if (launch.sync >= 0)
		sync_release(&launch);
	_exit(0);
}
