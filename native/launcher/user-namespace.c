/* Job: a user namespace that only its descriptor keeps, for mounts with shifted owners. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "kernel.h"
#include "launcher.h"

#define PROC_PATH_BYTES 64

/* 0, or -1 after launch_fail. */
static int write_map(struct launch *launch, pid_t pid, const char *name, const struct value *map) {
	char path[PROC_PATH_BYTES];
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return launch_fail(launch, "open", name);
	int result = write(fd, map->bytes, map->length) < 0 ? launch_fail(launch, "write", name) : 0;
	close(fd);
	return result;
}

/* A member of the namespace for as long as it takes to get hold of it. */
static pid_t start_member(void) {
	struct kernel_clone_args args = {.flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
	pid_t parent = getpid(), pid = kernel_clone3(&args);
	if (pid != 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	while (getppid() == parent)
		pause();
	_exit(0);
}

int op_user_namespace(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	char path[PROC_PATH_BYTES];
	int fd = -1;
	pid_t pid = start_member();
	if (pid < 0)
		return launch_fail(launch, "clone3", "user namespace");
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	if (write_map(launch, pid, "uid_map", &fields[USER_NAMESPACE_UID_MAP]) == 0 &&
		write_map(launch, pid, "gid_map", &fields[USER_NAMESPACE_GID_MAP]) == 0 &&
		(fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		launch_fail(launch, "open", "ns/user");
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return fd < 0 ? -1 : launch_keep(launch, &fields[USER_NAMESPACE_SLOT], fd);
}
