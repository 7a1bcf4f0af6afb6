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
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "console.h"
#include "error.h"
#include "process.h"
#include "protocol.h"

#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define FROM_EMPTY_PATH 0x00000004

struct streams {
	int in, out, err; /* the child's ends */
};

static char oom_score[16] = "0";
static bool has_rootfs;
/* The child copies argv and environment here; the parent never touches these pages. */
static char arena[MAX_REQUEST_BYTES];
static char *arguments[MAX_ARGUMENTS + 1], *variables[MAX_ARGUMENTS + 2];

void runtime_remember_oom_score(void) {
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, oom_score, sizeof(oom_score) - 1);
	if (got > 0)
		oom_score[got] = 0;
	/* Without the right to lower it the shim is as likely a victim as anybody; that is no reason not to start. */
	if (fd < 0 || (pwrite(fd, "-998", 4, 0) < 0 && errno != EACCES && errno != EPERM))
		complain("oom_score_adj", errno);
	if (fd >= 0)
		close(fd);
}

/* A missing descriptor's number is filled, so that nothing else can take it. */
void runtime_hold_inherited(void) {
	has_rootfs = fcntl(FD_ROOTFS, F_GETFD) >= 0;
	for (int fd = 0; fd <= FD_NETNS; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (fd == FD_CONTROL)
			die("descriptor 3", EBADF);
		int filler = open("/dev/null", O_RDWR);
		if (filler != fd && (dup2(filler, fd) < 0 || close(filler) < 0))
			die("fill descriptor", errno);
	}
	for (int fd = FD_CONTROL; fd <= FD_NETNS; fd++)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	syscall(SYS_close_range, FD_NETNS + 1, ~0u, 0);
}

void runtime_drop_rootfs(void) {
	if (has_rootfs)
		close(FD_ROOTFS);
	has_rootfs = false;
}

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

static void enter_mount_namespace(int error_fd, bool rootfs, bool hide_unified) {
	if (!rootfs && !hide_unified)
		return;
	if (unshare(CLONE_NEWNS) < 0)
		child_fail(error_fd, "unshare");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		child_fail(error_fd, "make / rslave");
	if (rootfs && syscall(SYS_move_mount, FD_ROOTFS, "", AT_FDCWD, "rootfs", FROM_EMPTY_PATH) < 0)
		child_fail(error_fd, "attach rootfs");
	if (hide_unified && umount2("/sys/fs/cgroup/unified", MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		child_fail(error_fd, "hide unified");
}

static void reset_signals(void) {
	sigset_t none;
	sigemptyset(&none);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static void restore_oom_score(void) {
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, oom_score, strlen(oom_score)) < 0)
		complain("oom_score_adj of the runtime", errno);
}

static noreturn void run_child(const struct process *process, const struct frame *frame, const struct streams *streams, int error_fd) {
	static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	size_t used = 0;
	restore_oom_score();
	collect(frame, FIELD_ARGV, arguments, &used);
	if (collect(frame, FIELD_ENV, variables, &used) == 0)
		variables[0] = default_path;
	bool rootfs = process == process_main() && has_rootfs;
	enter_mount_namespace(error_fd, rootfs, (process->flags & START_HIDE_UNIFIED) != 0);
	if (dup2(streams->in, 0) < 0 || dup2(streams->out, 1) < 0 || dup2(streams->err, 2) < 0)
		child_fail(error_fd, "dup2");
	reset_signals();
	environ = variables;
	execvp(arguments[0], arguments);
	child_fail(error_fd, "execute the runtime");
}

/* One pipe: the child's end is returned, ours goes to the source. -1 on failure. */
static int make_pipe(struct source *ours, bool child_reads) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	ours->fd = ends[child_reads ? 1 : 0];
	fcntl(ours->fd, F_SETFL, O_NONBLOCK);
	return ends[child_reads ? 0 : 1];
}

static int null_device(void) {
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

static int open_streams(struct process *process, struct streams *streams) {
	bool detached = (process->flags & START_DETACHED) != 0;
	bool has_stdin = (process->flags & START_STDIN) != 0 && !process->terminal && !detached;
	int error = process->terminal ? console_listen(process) : 0;
	if (error)
		return error;
	streams->in = has_stdin ? make_pipe(&process->in, true) : null_device();
	streams->out = process->terminal || detached ? null_device() : make_pipe(&process->out, false);
	streams->err = detached && !process->terminal ? null_device() : make_pipe(&process->err, false);
	return streams->in < 0 || streams->out < 0 || streams->err < 0 ? errno : 0;
}

static void close_streams(const struct streams *streams) {
	if (streams->in >= 0)
		close(streams->in);
	if (streams->out >= 0)
		close(streams->out);
	if (streams->err >= 0)
		close(streams->err);
}

static void empty_file(const char *name) {
	int fd = name[0] ? open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
	if (fd >= 0)
		close(fd);
}

int runtime_spawn(struct process *process, const struct frame *frame, const char **step) {
	struct streams streams = {-1, -1, -1};
	int error_pipe[2];
	*step = "streams";
	int error = open_streams(process, &streams);
	if (!error && pipe2(error_pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		error = errno;
	if (error) {
		close_streams(&streams);
		return error;
	}
	unlink(process->pid_file);
	empty_file(process->runtime_log);
	*step = "fork";
	pid_t pid = fork();
	if (pid == 0)
		run_child(process, frame, &streams, error_pipe[1]);
	error = errno;
	close_streams(&streams);
	close(error_pipe[1]);
	if (pid < 0) {
		close(error_pipe[0]);
		return error;
	}
	process->error_fd = error_pipe[0];
	process->runtime_pid = pid;
	return 0;
}
