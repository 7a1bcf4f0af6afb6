/* Job: a pseudo-terminal of the container's own devpts. */
#include "launcher.h"

#include <sys/ioctl.h>

#define PTMX_ONLY (RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS)

/*
 * Opening a device has effects, and what lies in the container's tree is the container's choice: the
 * directory is checked to be a devpts, where nobody makes nodes, before `ptmx` is opened in it.
 */
static int open_master(int root, const char *path) {
	char directory[PATH_MAX], name[NAME_MAX + 1];
	if (split_path(path, directory, name) < 0)
		return -1;
	if (strcmp(name, "ptmx") != 0)
		return errno = EINVAL, -1;
	uint64_t resolve = RESOLVE_IN_IMAGE | RESOLVE_NO_SYMLINKS;
	int devpts = resolve_with(root, directory, O_PATH | O_DIRECTORY, 0, resolve);
	if (devpts < 0)
		return -1;
	int master = -1;
	if (system_of(devpts) == DEVPTS_MAGIC)
		master = resolve_with(devpts, name, O_RDWR | O_NOCTTY, 0, PTMX_ONLY);
	else
		errno = ENOTTY;
	close_kept(devpts);
	if (master < 0 || is_device(master, 5, 2))
		return master;
	close(master);
	return errno = ENOTTY, -1;
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
	if (report_short(launch->report, REPORT_TERMINAL, 0, master) == 0)
		return peer;
	launch_fail(launch, "sendmsg", "terminal");
	close(peer);
	return -1;
}

int op_terminal(struct launch *launch, const struct value *fields) {
	int master = open_master(fields[TERMINAL_ROOT].fd, fields[TERMINAL_PATH].text);
	if (master < 0)
		return launch_fail(launch, "openat2", fields[TERMINAL_PATH].text);
	int peer = prepare(launch, master, fields);
	close(master);
	return launch_keep(launch, &fields[TERMINAL_SLOT], peer);
}
