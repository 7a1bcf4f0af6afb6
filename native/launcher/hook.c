/* Job: run a hook with the container's state on its standard input, for so long as it may take. */
#include "launcher.h"

#include <poll.h>
#include <sys/wait.h>

/* The state, with the pid as whoever runs the hook sees it. */
static int state_file(struct launch *launch, const struct value *before, const struct value *after) {
	char pid[16];
	int fd = (int)syscall(SYS_memfd_create, "state", KERNEL_MFD_CLOEXEC | KERNEL_MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL) /* a kernel that cannot insist on the second flag */
		fd = (int)syscall(SYS_memfd_create, "state", KERNEL_MFD_CLOEXEC);
	if (fd < 0)
		return launch_fail(launch, "memfd_create", "state");
	int length = snprintf(pid, sizeof(pid), "%d", launch->list == LIST_CHILD ? getpid() : launch->child);
	struct value middle = {.text = pid, .length = (uint32_t)length};
	if (launch_write(launch, fd, before, "state") >= 0 && launch_write(launch, fd, &middle, "state") >= 0 &&
		launch_write(launch, fd, after, "state") >= 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The hook's process shares our memory, and we wait, until it executes. `*error`: why it could not. */
__attribute__((noinline))
static pid_t start_hook(struct launch *launch, const struct value *fields, int state, volatile int *error) {
	char **arguments = launch_vectors;
	char **environment = arguments + list_pointers(&fields[HOOK_ARGUMENTS], arguments);
	list_pointers(&fields[HOOK_ENVIRONMENT], environment);
	pid_t pid = vfork();
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setsid(); /* a group of its own, which the time-out can end */
	if (op_reset_signals(launch, NULL) >= 0 && dup2(state, STDIN_FILENO) >= 0 &&
		kernel_close_range(STDERR_FILENO + 1, ~0u, KERNEL_CLOSE_CLOEXEC) == 0)
		execve(fields[HOOK_PATH].text, arguments, environment);
	*error = errno;
	_exit(127);
}

/* 1: it has ended, 0: not in time; -1. */
static int await(pid_t pid, uint64_t timeout_ms) {
	struct pollfd polled = {.fd = kernel_pidfd_open(pid), .events = POLLIN};
	int limit = timeout_ms == 0 ? -1 : timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
	int ended = -1;
	while (polled.fd >= 0 && (ended = poll(&polled, 1, limit)) < 0 && errno == EINTR)
		;
	close_kept(polled.fd);
	return ended;
}

static int finish(struct launch *launch, pid_t pid, const struct value *fields) {
	const char *path = fields[HOOK_PATH].text;
	int ended = await(pid, fields[HOOK_TIMEOUT_MS].number), error = errno, status = 0;
	if (ended != 1) {
		kill(-pid, SIGKILL);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	launch->failure.status = status;
	if (ended != 1)
		return launch_fail_with(launch, ended == 0 ? ETIMEDOUT : error, "hook", path);
	return status == 0 ? 0 : launch_fail_with(launch, ECHILD, "hook", path);
}

int op_hook(struct launch *launch, const struct value *fields) {
	const char *path = fields[HOOK_PATH].text;
	volatile int error = 0;
	int state = state_file(launch, &fields[HOOK_BEFORE_PID], &fields[HOOK_AFTER_PID]);
	if (state < 0)
		return -1;
	pid_t pid = start_hook(launch, fields, state, &error);
	launch_check(launch, pid, "fork", path);
	close(state);
	if (pid < 0)
		return -1;
	if (error == 0)
		return finish(launch, pid, fields);
	waitpid(pid, NULL, 0);
	return launch_fail_with(launch, error, "execve", path);
}
