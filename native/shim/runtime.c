/* Job: one OCI runtime call in a child: its streams, its mount namespace, its argv. */
#define _GNU_SOURCE
#include "runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "child-streams.h"
#include "error.h"
#include "inherited.h"
#include "process.h"
#include "protocol.h"

#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef TMPFS_MAGIC
#define TMPFS_MAGIC 0x01021994
#endif
#define FROM_EMPTY_PATH 0x00000004
#define TREE_CLONE 1
#define WITHOUT_LINKS (0x02 | 0x04) /* RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS */

struct how {
	uint64_t flags, mode, resolve; /* struct open_how, which musl's headers lack */
};

/* Where the child copies argv and environment. */
static char *arena;
static char *arguments[MAX_ARGUMENTS + 1], *variables[MAX_ARGUMENTS + 2];

static noreturn void child_fail(int error_fd, const char *step) {
	struct child_error failure = {.error = errno};
	snprintf(failure.step, sizeof(failure.step), "%s", step);
	if (write(error_fd, &failure, sizeof(failure)) < 0)
		_exit(126);
	_exit(127);
}

static size_t collect(const struct frame *frame, uint16_t number, char **list, size_t *used) {
	struct field field;
	size_t offset = 0, count = 0;
	while (field_next(frame, &offset, &field) == 1) {
		if (field.number != number || count == MAX_ARGUMENTS)
			continue;
		list[count++] = arena + *used;
		memcpy(arena + *used, field.data, field.length);
		*used += field.length;
		arena[(*used)++] = 0;
	}
	list[count] = NULL;
	return count;
}

/*
 * A detached copy of /dev/shm of the mount namespace behind the path. What lies there is another container's
 * doing, so no link is followed and only a tmpfs is taken. Back here afterwards, in the directory where we
 * were.
 */
static int copy_shm(int error_fd, const char *namespace_path) {
	struct how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = WITHOUT_LINKS};
	struct statfs facts;
	int home = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int donor = open(namespace_path, O_RDONLY | O_CLOEXEC);
	if (home < 0 || directory < 0 || donor < 0 || setns(donor, CLONE_NEWNS) < 0)
		child_fail(error_fd, "join mount namespace");
	int shm = (int)syscall(SYS_openat2, AT_FDCWD, "/dev/shm", &how, sizeof(how));
	if (shm < 0 || fstatfs(shm, &facts) < 0)
		child_fail(error_fd, "open /dev/shm");
	errno = EINVAL;
	if (facts.f_type != TMPFS_MAGIC)
		child_fail(error_fd, "/dev/shm is no tmpfs");
	int copy = (int)syscall(SYS_open_tree, shm, "", TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
	if (copy < 0 || setns(home, CLONE_NEWNS) < 0 || fchdir(directory) < 0)
		child_fail(error_fd, "copy /dev/shm");
	return copy;
}

static void enter_mount_namespace(int error_fd, bool rootfs, bool hide_unified, const char *shm_of) {
	if (!rootfs && !hide_unified && !shm_of[0])
		return;
	int shm = shm_of[0] ? copy_shm(error_fd, shm_of) : -1;
	if (unshare(CLONE_NEWNS) < 0)
		child_fail(error_fd, "unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		child_fail(error_fd, "make / rslave");
	if (rootfs && syscall(SYS_move_mount, FD_ROOTFS, "", AT_FDCWD, "rootfs", FROM_EMPTY_PATH) < 0)
		child_fail(error_fd, "attach rootfs");
	if (shm >= 0 && ((mkdir("shm", 0700) < 0 && errno != EEXIST) ||
		syscall(SYS_move_mount, shm, "", AT_FDCWD, "shm", FROM_EMPTY_PATH) < 0))
		child_fail(error_fd, "attach shm");
	if (hide_unified && umount2("/sys/fs/cgroup/unified", MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		child_fail(error_fd, "hide unified");
}

static void reset_signals(void) {
	sigset_t none;
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static noreturn void run_child(const struct process *process, const struct frame *frame,
	const struct child_streams *streams, int error_fd) {
	static char shm_of[MAX_PATH_BYTES + 1];
	static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	size_t used = 0;
	inherited_restore_oom_score();
	arena = mmap(NULL, MAX_RUNTIME_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena == MAP_FAILED)
		child_fail(error_fd, "memory");
	collect(frame, FIELD_ARGV, arguments, &used);
	if (collect(frame, FIELD_ENV, variables, &used) == 0)
		variables[0] = default_path;
	bool rootfs = process == process_main() && inherited_rootfs() >= 0;
	if (process == process_main() && !field_text(frame, FIELD_SHM_OF, shm_of, sizeof(shm_of))) {
		errno = EINVAL;
		child_fail(error_fd, "path of shm");
	}
	enter_mount_namespace(error_fd, rootfs, (process->flags & START_HIDE_UNIFIED) != 0, shm_of);
	if (dup2(streams->in, 0) < 0 || dup2(streams->out, 1) < 0 || dup2(streams->err, 2) < 0)
		child_fail(error_fd, "dup2");
	reset_signals();
	environ = variables;
	execvp(arguments[0], arguments);
	child_fail(error_fd, "execute the runtime");
}

static void empty_file(const char *name) {
	int fd = name[0] ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
}

int runtime_spawn(struct process *process, const struct frame *frame, const char **step) {
	struct child_streams streams = {-1, -1, -1};
	int error_pipe[2];
	*step = "streams";
	int error = child_streams_open(process, &streams);
	if (!error && pipe2(error_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		error = errno;
	if (error) {
		child_streams_close(&streams);
		return error;
	}
	unlink(process->pid_file);
	empty_file(process->runtime_log);
	*step = "fork";
	pid_t pid = fork();
	if (pid == 0)
		run_child(process, frame, &streams, error_pipe[1]);
	error = errno;
	child_streams_close(&streams);
	close(error_pipe[1]);
	if (pid < 0) {
		close(error_pipe[0]);
		return error;
	}
	process->error_fd = error_pipe[0];
	process->runtime_pid = pid;
	return 0;
}
