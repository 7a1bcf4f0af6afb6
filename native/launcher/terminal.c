/* Job: a pseudo-terminal of the container's own devpts. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "kernel.h"
#include "launcher.h"
#include "resolve.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

static const char directory_end[] = "/ptmx";

static bool is_ptmx(int fd) {
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2);
}

/*
 * Opening a device has effects, and what lies in the container's tree is the container's choice: the
 * directory is checked to be a devpts, where nobody makes nodes, before `ptmx` is opened in it.
 */
static int open_master(int root, const char *path) {
	char directory[256];
	size_t length = strlen(path), end = sizeof(directory_end) - 1;
	if (length <= end || length >= sizeof(directory) || strcmp(path + length - end, directory_end) != 0)
		return errno = EINVAL, -1;
	memcpy(directory, path, length - end);
	directory[length - end] = 0;
	uint64_t resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
	int devpts = resolve_with(root, directory, O_PATH | O_DIRECTORY, 0, resolve);
	if (devpts < 0)
		return -1;
	struct statfs system;
	int master = -1;
	if (fstatfs(devpts, &system) == 0 && system.f_type != DEVPTS_MAGIC)
		errno = ENOTTY;
	else
		master = resolve_with(devpts, directory_end + 1, O_RDWR | O_NOCTTY, 0,
			RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS);
	int error = errno;
	close(devpts);
	if (master >= 0 && !is_ptmx(master)) {
		close(master);
		return errno = ENOTTY, -1;
	}
	errno = error;
	return master;
}

/* The peer, or -1 after launch_fail. */
static int prepare(struct launch *launch, int master, const struct value *fields) {
	int locked = 0;
	struct winsize size = {
		.ws_col = (unsigned short)fields[TERMINAL_WIDTH].number,
		.ws_row = (unsigned short)fields[TERMINAL_HEIGHT].number,
	};
	if (ioctl(master, TIOCSPTLCK, &locked) < 0)
		return launch_fail(launch, "ioctl", "TIOCSPTLCK");
	if ((size.ws_col || size.ws_row) && ioctl(master, TIOCSWINSZ, &size) < 0)
		return launch_fail(launch, "ioctl", "TIOCSWINSZ");
	int peer = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer < 0)
		return launch_fail(launch, "ioctl", "TIOCGPTPEER");
	if (report_terminal(launch->report, master) < 0) {
		launch_fail(launch, "sendmsg", "terminal");
		close(peer);
		return -1;
	}
	return peer;
}

int op_terminal(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	const char *path = text_of(&fields[TERMINAL_PATH]);
	int root = launch_slot(launch, &fields[TERMINAL_ROOT]);
	if (root < 0)
		return -1;
	int master = open_master(root, path);
	if (master < 0)
		return launch_fail(launch, "openat2", path);
	int peer = prepare(launch, master, fields);
	close(master);
	return peer < 0 ? -1 : launch_keep(launch, &fields[TERMINAL_SLOT], peer);
}
