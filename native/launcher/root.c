/* Job: make the container's root the root of the process. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel.h"
#include "launcher.h"

#define MOUNT_POINT_FIELD 4
#define MOUNTINFO_BYTES 32768

int op_current_root(struct launch *launch, const struct operation *operation) {
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return launch_fail(launch, "open", "/");
	return launch_keep(launch, &operation->fields[CURRENT_ROOT_SLOT], root);
}

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

/* In place: mountinfo writes spaces and the like as three octal digits. */
static void unescape(char *text) {
	char *to = text;
	for (; *text; to++, text++) {
		*to = *text;
		if (*text == '\\' && text[1] && text[2] && text[3]) {
			*to = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
			text += 3;
		}
	}
	*to = 0;
}

/* The mount point, if a line of mountinfo tells of a whole procfs or sysfs; else NULL. */
static char *whole_system(char *line) {
	char *fields[MOUNT_POINT_FIELD + 1];
	for (int i = 0; i <= MOUNT_POINT_FIELD; i++) {
		fields[i] = line;
		if (!(line = strchr(line, ' ')))
			return NULL;
		*line++ = 0;
	}
	const char *type = strstr(line, " - ");
	if (!type || (strncmp(type, " - proc ", 8) != 0 && strncmp(type, " - sysfs ", 9) != 0))
		return NULL;
	unescape(fields[MOUNT_POINT_FIELD]);
	return strcmp(fields[MOUNT_POINT_FIELD - 1], "/") == 0 ? fields[MOUNT_POINT_FIELD] : NULL;
}

static int hide(const char *point) {
	if (mount(NULL, point, NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return errno == ENOENT ? 0 : -1;
	if (umount2(point, MNT_DETACH) == 0)
		return 0;
	return errno == EINVAL || errno == EPERM ? mount("tmpfs", point, "tmpfs", 0, NULL) : -1;
}

static int hide_outside(char *line, const char *inside) {
	char *point = whole_system(line);
	size_t length = strlen(inside);
	if (!point || (strncmp(point, inside, length) == 0 && (point[length] == 0 || point[length] == '/')))
		return 0;
	return hide(point);
}

/*
 * Without pivot_root the host's mounts stay in the namespace, below the new root. A whole procfs or sysfs
 * there would let a user namespace inside mount another one without what is masked in ours.
 */
static int hide_systems(int root) {
	static char buffer[MOUNTINFO_BYTES];
	char link[32], inside[PATH_MAX];
	snprintf(link, sizeof(link), "/proc/self/fd/%d", root);
	ssize_t length = readlink(link, inside, sizeof(inside) - 1), got = 0;
	int info = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	int result = length < 0 || info < 0 ? -1 : 0;
	inside[length < 0 ? 0 : length] = 0;
	size_t have = 0;
	while (result == 0 && (got = read(info, buffer + have, sizeof(buffer) - 1 - have)) > 0) {
		char *line = buffer, *end;
		buffer[have += (size_t)got] = 0;
		for (; result == 0 && (end = strchr(line, '\n')); line = end + 1) {
			*end = 0;
			result = hide_outside(line, inside);
		}
		have = strlen(line);
		memmove(buffer, line, have);
	}
	int error = errno;
	close(info);
	errno = error;
	return result < 0 || got < 0 ? -1 : 0;
}

int op_move_root(struct launch *launch, const struct operation *operation) {
	int root = launch_slot(launch, &operation->fields[MOVE_ROOT_ROOT]);
	if (root < 0)
		return -1;
	if (hide_systems(root) < 0)
		return launch_fail(launch, "mount", "/proc/self/mountinfo");
	if (fchdir(root) < 0)
		return launch_fail(launch, "fchdir", "");
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	if (chroot(".") < 0)
		return launch_fail(launch, "chroot", "");
	return chdir("/") < 0 ? launch_fail(launch, "chdir", "/") : 0;
}
