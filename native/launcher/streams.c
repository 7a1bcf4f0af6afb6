/* Job: the standard streams, and that no other descriptor of the host stays open. */
#include "launcher.h"

#include <sys/ioctl.h>

#define STANDARD_STREAMS 3

int op_stdio(struct launch *launch, const struct value *fields) {
	int sources[STANDARD_STREAMS];
	for (int i = 0; i < STANDARD_STREAMS; i++) {
		sources[i] = fields[STDIO_IN + i].fd;
		/* A source below 3 would be overwritten before its turn: its copy stands in. */
		if (sources[i] < STANDARD_STREAMS)
			sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, STANDARD_STREAMS);
		if (sources[i] < 0)
			return launch_fail(launch, "fcntl", "F_DUPFD_CLOEXEC");
	}
	for (int i = 0; i < STANDARD_STREAMS; i++)
		if (dup2(sources[i], i) < 0)
			return launch_fail(launch, "dup2", "");
	if (fields[STDIO_CONTROLLING].number && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return launch_fail(launch, "ioctl", "TIOCSCTTY");
	return 0;
}

/* Looked at before it is opened, since opening another device may do something. -1: no such device. */
static int open_null(int root, const char *path) {
	int seen = resolve_in_root(root, path, O_PATH), fd = -1;
	if (seen >= 0 && is_device(seen, 1, 3))
		fd = resolve_in_root(root, path, O_RDWR | O_NONBLOCK | O_NOCTTY);
	close_kept(seen);
	if (fd < 0 || is_device(fd, 1, 3))
		return fd;
	close(fd);
	return -1;
}

int op_reopen_null(struct launch *launch, const struct value *fields) {
	int null = open_null(fields[REOPEN_NULL_ROOT].fd, fields[REOPEN_NULL_PATH].text), result = 0;
	for (int fd = 0; fd < STANDARD_STREAMS && null >= 0 && result >= 0; fd++)
		if (is_device(fd, 1, 3))
			result = launch_check(launch, dup2(null, fd), "dup2", "");
	close_kept(null);
	return result;
}

/* The group stays: a mount may prefer it. Owners that cannot be changed are left as they are. */
int op_own_stdio(struct launch *launch, const struct value *fields) {
	uid_t uid = (uid_t)fields[OWN_STDIO_UID].number;
	for (int fd = 0; fd < STANDARD_STREAMS; fd++) {
		struct stat status;
		if (fstat(fd, &status) < 0)
			return launch_fail(launch, "fstat", "");
		if (status.st_uid == uid || is_device(fd, 1, 3))
			continue;
		if (fchown(fd, uid, status.st_gid) < 0 && errno != EINVAL && errno != EPERM && errno != EROFS)
			return launch_fail(launch, "fchown", "");
	}
	return 0;
}

/* What waits for a start, in a slot of the plan's own; nothing can be entered or executed through a FIFO. */
static bool may_stay(const struct launch *launch, unsigned slot) {
	struct stat status;
	int fd = launch->slots[slot];
	return slot >= SLOT_FIRST && fd >= STANDARD_STREAMS && fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* The lowest descriptor from `first` on that stays, or -1. The slots name none but such. */
static int next_kept(const struct launch *launch, unsigned first) {
	int lowest = -1;
	for (unsigned i = 0; i < MAX_SLOTS + 2; i++) {
		int fd = i < MAX_SLOTS ? launch->slots[i] : i == MAX_SLOTS ? launch->sync : launch->report;
		if (fd >= 0 && (unsigned)fd >= first && (lowest < 0 || fd < lowest))
			lowest = fd;
	}
	return lowest;
}

int launch_close_from(struct launch *launch, unsigned first) {
	for (unsigned slot = 0; slot < MAX_SLOTS; slot++) {
		int fd = launch->slots[slot];
		if (fd < 0 || may_stay(launch, slot))
			continue;
		if (fd >= STANDARD_STREAMS && (unsigned)fd < first)
			close(fd);
		launch->slots[slot] = -1;
	}
	launch->closed = true;
	for (;;) {
		int kept = next_kept(launch, first);
		unsigned last = kept < 0 ? ~0u : (unsigned)kept - 1;
		if ((unsigned)kept != first && kernel_close_range(first, last, 0) < 0)
			return launch_fail(launch, "close_range", "");
		if (kept < 0)
			return 0;
		first = (unsigned)kept + 1;
	}
}

int op_close_from(struct launch *launch, const struct value *fields) {
	return launch_close_from(launch, (unsigned)fields[CLOSE_FROM_FIRST].number);
}
