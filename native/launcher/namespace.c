/* Job: namespaces, and the second clone. */
#include "launcher.h"

#include <sys/wait.h>

#define PROC_PATH_BYTES 64

int op_join_namespace(struct launch *launch, const struct value *fields) {
	int flags = (int)fields[JOIN_NAMESPACE_FLAGS].number;
	/* Rights that come with a user namespace may have made us dumpable, as fs.suid_dumpable says. */
	if (setns(fields[JOIN_NAMESPACE_SLOT].fd, flags) < 0)
		return launch_fail(launch, "setns", "");
	return launch_hide(launch);
}

int op_unshare(struct launch *launch, const struct value *fields) {
	return launch_check(launch, unshare((int)fields[UNSHARE_FLAGS].number), "unshare", "");
}

int op_clone_again(struct launch *launch, const struct value *fields) {
	struct kernel_clone_args args = {.flags = fields[CLONE_AGAIN_FLAGS].number | CLONE_PARENT};
	pid_t child = kernel_clone3(&args);
	if (child < 0)
		return launch_fail(launch, "clone3", "");
	if (child > 0)
		_exit(0);
	launch->untold++;
	return launch_check(launch, sync_say(launch, SYNC_KIND_MOVED, 0), "send", "sync");
}

/* `name` below the process's directory; -1 after launch_fail. */
static int open_of(struct launch *launch, pid_t pid, const char *name, int flags) {
	char path[PROC_PATH_BYTES];
	if (snprintf(path, sizeof(path), "/proc/%d/%s", pid, name) >= (int)sizeof(path))
		return launch_fail_with(launch, ENAMETOOLONG, "open", name);
	return launch_check(launch, open(path, flags | O_CLOEXEC), "open", name);
}

static int write_of(struct launch *launch, pid_t pid, const char *name, const struct value *value) {
	int fd = open_of(launch, pid, name, O_WRONLY | O_NOFOLLOW);
	if (fd < 0)
		return -1;
	/* A child of ours that is still there had this file; its number is not free before it has been reaped. */
	bool gone = pid == launch->child && kernel_pidfd_signal(launch->child_fd, 0) < 0;
	int result = gone ? launch_fail(launch, "write", name) : launch_write(launch, fd, value, name);
	close(fd);
	return result;
}

int op_write_child_file(struct launch *launch, const struct value *fields) {
	const char *name = fields[WRITE_CHILD_FILE_NAME].text;
	if (strchr(name, '/'))
		return launch_fail_with(launch, EINVAL, "open", name);
	return write_of(launch, launch->child, name, &fields[WRITE_CHILD_FILE_VALUE]);
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

int op_user_namespace(struct launch *launch, const struct value *fields) {
	int fd = -1;
	pid_t pid = start_member();
	if (pid < 0)
		return launch_fail(launch, "clone3", "user namespace");
	if (write_of(launch, pid, "uid_map", &fields[USER_NAMESPACE_UID_MAP]) >= 0 &&
		write_of(launch, pid, "gid_map", &fields[USER_NAMESPACE_GID_MAP]) >= 0)
		fd = open_of(launch, pid, "ns/user", O_RDONLY);
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return launch_keep(launch, &fields[USER_NAMESPACE_SLOT], fd);
}
