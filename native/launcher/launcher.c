/* Job: carry out a plan: starter, clone, child; dispatch each operation to its handler; report a failure. */
#include "launcher.h"

#define DEFAULT_UMASK 022

char *launch_vectors[MAX_LIST_TEXTS + 2];

static operation_handler *const handlers[OPERATION_CODES] = OPERATION_HANDLERS;

int launch_fail_with(struct launch *launch, int error, const char *step, const char *object) {
	launch->failure.error = error;
	snprintf(launch->failure.step, REPORT_STEP_BYTES, "%s", step);
	snprintf(launch->failure.object, REPORT_OBJECT_BYTES, "%s", object);
	return -1;
}

int launch_fail(struct launch *launch, const char *step, const char *object) {
	return launch_fail_with(launch, errno, step, object);
}

int launch_check(struct launch *launch, long result, const char *step, const char *object) {
	return result < 0 ? launch_fail(launch, step, object) : (int)result;
}

int launch_hide(struct launch *launch) {
	return launch_check(launch, prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), "prctl", "PR_SET_DUMPABLE");
}

int launch_keep(struct launch *launch, const struct value *slot, int fd) {
	if (fd < 0)
		return -1;
	if (launch->slots[slot->number] >= 0)
		close(launch->slots[slot->number]);
	launch->slots[slot->number] = fd;
	return 0;
}

int launch_resolve(struct launch *launch, int root, const char *path, uint64_t flags) {
	return launch_check(launch, resolve_in_root(root, path, flags), "openat2", path);
}

int launch_write(struct launch *launch, int fd, const struct value *value, const char *object) {
	ssize_t written = write(fd, value->bytes, value->length);
	if (written >= 0 && (size_t)written != value->length)
		return launch_fail_with(launch, EIO, "write", object);
	return launch_check(launch, written, "write", object);
}

struct place launch_place(struct launch *launch, const struct value *at, const struct value *path,
	uint64_t flags) {
	if (at->fd == AT_FDCWD || path->length == 0)
		return (struct place){.fd = at->fd, .path = path->text};
	return (struct place){launch_resolve(launch, at->fd, path->text, flags), "", true};
}

void place_close(const struct place *place) {
	if (place->opened)
		close(place->fd);
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

static int find_slots(struct launch *launch, struct operation *operation) {
	for (uint32_t i = 0; operation->kinds[i]; i++) {
		struct value *slot = &operation->fields[i];
		if (operation->kinds[i] != 'd')
			continue;
		slot->fd = slot->number == NO_SLOT ? AT_FDCWD : launch->slots[slot->number];
		if (slot->fd == -1)
			return launch_fail_with(launch, EBADF, "slot", "an empty slot");
	}
	return 0;
}

static int run(struct launch *launch, enum plan_list list) {
	struct operation operation;
	uint32_t offset = launch->plan->starts[list];
	launch->list = list;
	for (uint32_t i = 0; i < launch->plan->counts[list]; i++) {
		plan_operation(launch->plan, &offset, &operation);
		announce(launch, operation.code);
		launch->failure = (struct launch_failure){.list = list, .index = i, .code = operation.code};
		if (find_slots(launch, &operation) == 0 && handlers[operation.code](launch, operation.fields) >= 0)
			continue;
		if (launch->failing || !ignored(&operation, launch->failure.error))
			return -1;
	}
	return 0;
}

static noreturn void run_child(struct launch *launch) {
	int entered = launch->bare ? setns(launch->slots[SLOT_MOUNTS], CLONE_NEWNS) : 0;
	if ((launch_check(launch, entered, "setns", "") < 0 || run(launch, LIST_CHILD) < 0) && !launch->failing)
		sync_failed(launch);
	_exit(1);
}

/* The last operation of `before`. The child is born with the starter's parent for its own. */
int op_clone(struct launch *launch, const struct value *fields) {
	struct kernel_clone_args args = {
		.flags = fields[CLONE_FLAGS].number | CLONE_PARENT | KERNEL_CLONE_PIDFD,
		.pidfd = (uint64_t)(uintptr_t)&launch->child_fd,
	};
	int pair[2];
	launch->bare = args.flags & CLONE_NEWNS && launch->slots[SLOT_MOUNTS] >= 0 && !launch->plan->host_mounts;
	if (launch->bare)
		args.flags &= ~(uint64_t)CLONE_NEWNS;
	if (fields[CLONE_CGROUP].number != NO_SLOT) {
		args.flags |= KERNEL_CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)fields[CLONE_CGROUP].fd;
	}
	if (sync_open(pair) < 0)
		return launch_fail(launch, "socketpair", "sync");
	launch->untold = 1;
	pid_t child = kernel_clone3(&args);
	if (child < 0)
		return launch_fail(launch, "clone3", "");
	launch->sync = pair[child == 0];
	close(pair[child != 0]);
	if (child == 0)
		run_child(launch);
	launch->child = child;
	if (report_short(launch->report, REPORT_PID, child, -1) < 0)
		return launch_fail(launch, "sendmsg", "pid");
	sync_say(launch, SYNC_KIND_KNOWN, 0); /* a child that has gone meanwhile has said why */
	return 0;
}

static noreturn void fail(struct launch *launch) {
	/* A child that has failed is the reason for what the starter could not do with it. */
	if (launch->child > 0) {
		sync_child_has_failed(launch);
		kernel_pidfd_signal(launch->child_fd, SIGKILL);
	}
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
	if (launch_hide(&launch) < 0 || run(&launch, LIST_BEFORE) < 0 || run(&launch, LIST_PARENT) < 0)
		fail(&launch);
	if (launch.sync >= 0)
		sync_say(&launch, SYNC_KIND_RELEASED, 0);
	_exit(0);
}
