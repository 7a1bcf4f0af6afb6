/* Job: make the container's root the root of the process. */
#include "launcher.h"

int op_current_root(struct launch *launch, const struct value *fields) {
	int root = launch_check(launch, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), "open", "/");
	return launch_keep(launch, &fields[CURRENT_ROOT_SLOT], root);
}

/*
 * The new root goes below the old one, which then lies on top of it at the same place. Slave before it is
 * detached, so that nothing of that reaches the host; private would keep mounts of the host alive here.
 */
static int pivot(struct launch *launch, int root, int old) {
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return launch_fail(launch, "pivot_root", "");
	if (fchdir(old) < 0 || mount(NULL, ".", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	if (umount2(".", MNT_DETACH) < 0)
		return launch_fail(launch, "umount2", "/");
	return launch_check(launch, chdir("/"), "chdir", "/");
}

int op_pivot(struct launch *launch, const struct value *fields) {
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (old < 0)
		return launch_fail(launch, "open", "/");
	int result = pivot(launch, fields[PIVOT_ROOT].fd, old);
	close(old);
	return result;
}

static int hide(const char *point) {
	if (mount(NULL, point, NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return errno == ENOENT ? 0 : -1;
	if (umount2(point, MNT_DETACH) == 0)
		return 0;
	return errno == EINVAL || errno == EPERM ? mount("tmpfs", point, "tmpfs", 0, NULL) : -1;
}

/*
 * Without pivot_root the host's mounts stay in the namespace, below the new root. A whole procfs or sysfs
 * there would let a user namespace inside mount another one without what is masked in ours.
 */
int op_move_root(struct launch *launch, const struct value *fields) {
	const uint8_t *at = fields[MOVE_ROOT_HIDE].bytes;
	for (uint64_t i = 0; i < fields[MOVE_ROOT_HIDE].number; i++) {
		const char *point = list_text(&at);
		if (hide(point) < 0)
			return launch_fail(launch, "mount", point);
	}
	if (fchdir(fields[MOVE_ROOT_ROOT].fd) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	if (chroot(".") < 0)
		return launch_fail(launch, "chroot", "");
	return launch_check(launch, chdir("/"), "chdir", "/");
}
