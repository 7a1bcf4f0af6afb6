/* Job: make the container's root the root of the process. */
#define _GNU_SOURCE
#include <errno.h>

#include "kernel.h"
#include "launcher.h"

/*
 * The new root goes below the old one, which then lies on top of it at the same place. Slave before it is
 * detached, so that nothing of that reaches the host; private would keep mounts of the host alive here.
 */
static int pivot(struct launch *launch, int root, int old) {
	if (fchdir(root) < 0)
		return launch_fail(launch, "fchdir", "");
	if (syscall(SYS_pivot_root, ".", ".") < 0)
		return launch_fail(launch, "pivot_root", "");
	if (fchdir(old) < 0)
		return launch_fail(launch, "fchdir", "/");
	if (mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	if (umount2(".", MNT_DETACH) < 0)
		return launch_fail(launch, "umount2", "/");
	return chdir("/") < 0 ? launch_fail(launch, "chdir", "/") : 0;
}

int op_pivot(struct launch *launch, const struct operation *operation) {
	int root = launch_slot(launch, &operation->fields[PIVOT_ROOT]);
	if (root < 0)
		return -1;
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return launch_fail(launch, "open", "/");
	int result = pivot(launch, root, old);
	close(old);
	return result;
}

int op_move_root(struct launch *launch, const struct operation *operation) {
	int root = launch_slot(launch, &operation->fields[MOVE_ROOT_ROOT]);
	if (root < 0)
		return -1;
	if (fchdir(root) < 0)
		return launch_fail(launch, "fchdir", "");
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	if (chroot(".") < 0)
		return launch_fail(launch, "chroot", "");
	return chdir("/") < 0 ? launch_fail(launch, "chdir", "/") : 0;
}
