/* Job: run a hook with the container's state on its standard input, for so long as it may take. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kernel.h"
#include "launcher.h"

#ifndef SYS_memfd_create
#error no memfd_create
#endif
#define MFD_CLOEXEC_FLAG 1u
#define MFD_NOEXEC_SEAL_FLAG 8u /* kernels may insist on it; older ones do not know it */

static bool put(int fd, const void *bytes, size_t length) {
	for (size_t done = 0; done < length;) {
		ssize_t written = write(fd, (const char *)bytes + done, length - done);
		if (written < 0 && errno != EINTR)
			return false;
		done += written < 0 ? 0 : (size_t)written;
	}
	return true;
}

/* The state, with the pid as whoever runs the hook sees it. */
static int state_file(struct launch *launch, const struct operation *operation) {
	const struct value *before = &operation->fields[HOOK_BEFORE_PID];
	const struct value *after = &operation->fields[HOOK_AFTER_PID];
	char pid[16];
	int fd = (int)syscall(SYS_memfd_create, "state", MFD_CLOEXEC_FLAG | MFD_NOEXEC_SEAL_FLAG);
	if (fd < 0 && errno == EINVAL)
		fd = (int)syscall(SYS_memfd_create, "state", MFD_CLOEXEC_FLAG);
	if (fd < 0)
		return launch_fail(launch, "memfd_create", "state");
	int length = snprintf(pid, sizeof(pid), "%d", launch->list == LIST_CHILD ? getpid() : launch->child);
	if (put(fd, before->bytes, before->length) && put(fd, pid, (size_t)length) &&
		put(fd, after->bytes, after->length) && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	launch_fail(launch, "write", "state");
	close(fd);
	return -1;
}

/* In the hook's process. `failure` is a pipe that execve closes. */
static noreturn void become_hook(const struct operation *operation, int state, int failure) {
	char **arguments = launch_vectors;
	char **environment = arguments + list_pointers(&operation->fields[HOOK_ARGUMENTS], arguments);
	sigset_t none;
	list_pointers(&operation->fields[HOOK_ENVIRONMENT], environment);
	sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setsid(); /* a group of its own, which the time-out can end */
	if (dup2(state, STDIN_FILENO) >= 0 && kernel_close_range(3, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
		execve(text_of(&operation->fields[HOOK_PATH]), arguments, environment);
	int error = errno;
	_exit(write(failure, &error, sizeof(error)) == sizeof(error) ? 127 : 126);
}

/* 1: it has ended, 0: not in time; -1. */
static int await(pid_t pid, uint64_t timeout_ms) {
	int pidfd = kernel_pidfd_open(pid);
	if (pidfd < 0)
		return -1;
	struct pollfd polled = {.fd = pidfd, .events = POLLIN};
	int limit = timeout_ms == 0 ? -1 : timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms;
	int ended;
	do
		ended = poll(&polled, 1, limit);
	while (ended < 0 && errno == EINTR);
	close(pidfd);
	return ended;
}

static int finish(struct launch *launch, pid_t pid, const struct operation *operation) {
	const char *path = text_of(&operation->fields[HOOK_PATH]);
	int ended = await(pid, operation->fields[HOOK_TIMEOUT_MS].number), error = errno, status = 0;
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

int op_hook(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[HOOK_PATH]);
	int failure[2], error = 0, result = -1;
	int state = state_file(launch, operation);
	if (state < 0)
		return -1;
	if (pipe2(failure, O_CLOEXEC) < 0) {
		launch_fail(launch, "pipe2", path);
		goto end;
	}
	pid_t pid = fork();
	if (pid == 0)
		become_hook(operation, state, failure[1]);
	error = errno;
	close(failure[1]);
	if (pid < 0)
		launch_fail_with(launch, error, "fork", path);
	else if (read(failure[0], &error, sizeof(error)) == sizeof(error)) {
		waitpid(pid, NULL, 0);
		launch_fail_with(launch, error, "execve", path);
	} else
		result = finish(launch, pid, operation);
	close(failure[0]);
end:
	close(state);
	return result;
}
