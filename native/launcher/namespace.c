/* Job: namespaces, the second clone, and the points where starter and child wait for each other. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

#include "kernel.h"
#include "launcher.h"
#include "sync.h"

int op_join_namespace(struct launch *launch, const struct operation *operation) {
	int namespace = launch_slot(launch, &operation->fields[JOIN_NAMESPACE_SLOT]);
	if (namespace < 0)
		return -1;
	if (setns(namespace, (int)operation->fields[JOIN_NAMESPACE_FLAGS].number) < 0)
		return launch_fail(launch, "setns", "");
	/* Rights that come with a user namespace may have changed it, as fs.suid_dumpable says. */
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? launch_fail(launch, "prctl", "PR_SET_DUMPABLE") : 0;
}

int op_unshare(struct launch *launch, const struct operation *operation) {
	if (unshare((int)operation->fields[UNSHARE_FLAGS].number) < 0)
		return launch_fail(launch, "unshare", "");
	return 0;
}

int op_clone_again(struct launch *launch, const struct operation *operation) {
	struct kernel_clone_args args = {.flags = operation->fields[CLONE_AGAIN_FLAGS].number | CLONE_PARENT};
	pid_t child = kernel_clone3(&args);
	if (child < 0)
		return launch_fail(launch, "clone3", "");
	if (child > 0)
		_exit(0);
	sync_moved(launch);
	return 0;
}

int op_tell(struct launch *launch, const struct operation *operation) {
	return sync_tell(launch, (uint32_t)operation->fields[TELL_POINT].number);
}

int op_wait(struct launch *launch, const struct operation *operation) {
	return sync_wait(launch, (uint32_t)operation->fields[WAIT_POINT].number);
}

int op_wait_executed(struct launch *launch, const struct operation *operation) {
	(void)operation;
	return sync_wait_executed(launch);
}

int op_write_child_file(struct launch *launch, const struct operation *operation) {
	const char *name = text_of(&operation->fields[WRITE_CHILD_FILE_NAME]);
	const struct value *value = &operation->fields[WRITE_CHILD_FILE_VALUE];
	char path[64];
	int length = snprintf(path, sizeof(path), "/proc/%d/%s", launch->child, name);
	if (strchr(name, '/') || length >= (int)sizeof(path))
		return launch_fail_with(launch, EINVAL, "open", name);
	int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return launch_fail(launch, "open", name);
	/* It is still there, so this was its file. */
	ssize_t written = kernel_pidfd_signal(launch->child_fd, 0);
	if (written == 0)
		written = write(fd, value->bytes, value->length);
	if (written < 0)
		launch_fail(launch, "write", name);
	close(fd);
	return written < 0 ? -1 : 0;
}

/*
 * The descriptor was opened for reading without waiting for a writer: a writer that finds no reader knows
 * that the container is gone, and nothing has to be opened by a path of the image.
 */
int op_wait_start(struct launch *launch, const struct operation *operation) {
	char byte;
	int fifo = launch_slot(launch, &operation->fields[WAIT_START_SLOT]);
	if (fifo < 0)
		return -1;
	do
		if (sync_wait_readable(launch, fifo) < 0)
			return launch_fail(launch, "poll", "start");
	while (read(fifo, &byte, 1) < 0 && (errno == EAGAIN || errno == EINTR));
	return 0;
}
