/* Job: attributes of the process that are no credentials: session, streams, limits, scheduling, names. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "kernel.h"
#include "launcher.h"
#include "resolve.h"

#define STANDARD_STREAMS 3
#define MAX_KEPT 8
#define LAST_SIGNAL 64
#define KEY_DESCRIPTION_BYTES 512
#define KEY_DESCRIPTION_BEFORE_PERMISSIONS 3 /* type;uid;gid;permissions;name */

static int check(struct launch *launch, long result, const char *step) {
	return result < 0 ? launch_fail(launch, step, "") : 0;
}

int op_set_session(struct launch *launch, const struct operation *operation) {
	(void)operation;
	return check(launch, setsid(), "setsid");
}

/* A source below 3 would be overwritten before its turn: its copy stands in. */
static int lift(int fd) {
	return fd < STANDARD_STREAMS ? fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_STREAMS) : fd;
}

int op_stdio(struct launch *launch, const struct operation *operation) {
	int sources[STANDARD_STREAMS];
	for (int i = 0; i < STANDARD_STREAMS; i++) {
		int fd = launch_slot(launch, &operation->fields[STDIO_IN + i]);
		if (fd < 0)
			return -1;
		sources[i] = lift(fd);
		if (sources[i] < 0)
			return launch_fail(launch, "fcntl", "F_DUPFD_CLOEXEC");
	}
	for (int i = 0; i < STANDARD_STREAMS; i++)
		if (dup2(sources[i], i) < 0)
			return launch_fail(launch, "dup2", "");
	if (operation->fields[STDIO_CONTROLLING].number && ioctl(STDIN_FILENO, TIOCSCTTY, 0) < 0)
		return launch_fail(launch, "ioctl", "TIOCSCTTY");
	return 0;
}

static bool is_null(const struct stat *status) {
	return S_ISCHR(status->st_mode) && status->st_rdev == makedev(1, 3);
}

/* Looked at before it is opened, since opening another device may do something. -1: no such device. */
static int open_null(int root, const char *path) {
	struct stat status;
	int seen = resolve_in_root(root, path, O_PATH);
	bool good = seen >= 0 && fstat(seen, &status) == 0 && is_null(&status);
	if (seen >= 0)
		close(seen);
	int fd = good ? resolve_in_root(root, path, O_RDWR | O_NONBLOCK | O_NOCTTY) : -1;
	if (fd >= 0 && fstat(fd, &status) == 0 && is_null(&status))
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

int op_reopen_null(struct launch *launch, const struct operation *operation) {
	int root = launch_slot(launch, &operation->fields[REOPEN_NULL_ROOT]);
	if (root < 0)
		return -1;
	int null = open_null(root, text_of(&operation->fields[REOPEN_NULL_PATH])), result = 0;
	struct stat status;
	for (int fd = 0; fd < STANDARD_STREAMS && null >= 0 && result == 0; fd++)
		if (fstat(fd, &status) == 0 && is_null(&status) && dup2(null, fd) < 0)
			result = launch_fail(launch, "dup2", "");
	if (null >= 0)
		close(null);
	return result;
}

/* The group stays: a mount may prefer it. Owners that cannot be changed are left as they are. */
int op_own_stdio(struct launch *launch, const struct operation *operation) {
	uid_t uid = (uid_t)operation->fields[OWN_STDIO_UID].number;
	for (int fd = 0; fd < STANDARD_STREAMS; fd++) {
		struct stat status;
		if (fstat(fd, &status) < 0)
			return launch_fail(launch, "fstat", "");
		if (status.st_uid == uid || is_null(&status))
			continue;
		if (fchown(fd, uid, status.st_gid) < 0 && errno != EINVAL && errno != EPERM && errno != EROFS)
			return launch_fail(launch, "fchown", "");
	}
	return 0;
}

int op_rlimit(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	uint64_t limits[2] = {fields[RLIMIT_SOFT].number, fields[RLIMIT_HARD].number};
	unsigned resource = (unsigned)fields[RLIMIT_RESOURCE].number;
	pid_t pid = launch->list == LIST_PARENT ? launch->child : 0;
	return check(launch, syscall(SYS_prlimit64, pid, resource, limits, NULL), "prlimit");
}

int op_umask(struct launch *launch, const struct operation *operation) {
	(void)launch;
	umask((mode_t)operation->fields[UMASK_MASK].number & 0777);
	return 0;
}

int op_personality(struct launch *launch, const struct operation *operation) {
	return check(launch, personality(operation->fields[PERSONALITY_DOMAIN].number), "personality");
}

int op_io_priority(struct launch *launch, const struct operation *operation) {
	int value = (int)operation->fields[IO_PRIORITY_VALUE].number;
	return check(launch, syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value), "ioprio_set");
}

int op_scheduler(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	struct kernel_sched_attr attr = {
		.size = sizeof(attr),
		.policy = (uint32_t)fields[SCHEDULER_POLICY].number,
		.flags = fields[SCHEDULER_FLAGS].number,
		.nice = (int32_t)fields[SCHEDULER_NICE].number,
		.priority = (uint32_t)fields[SCHEDULER_PRIORITY].number,
		.runtime = fields[SCHEDULER_RUNTIME].number,
		.deadline = fields[SCHEDULER_DEADLINE].number,
		.period = fields[SCHEDULER_PERIOD].number,
	};
	return check(launch, syscall(SYS_sched_setattr, 0, &attr, 0), "sched_setattr");
}

int op_affinity(struct launch *launch, const struct operation *operation) {
	const struct value *mask = &operation->fields[AFFINITY_MASK];
	return check(launch, syscall(SYS_sched_setaffinity, 0, mask->length, mask->bytes), "sched_setaffinity");
}

int op_dumpable(struct launch *launch, const struct operation *operation) {
	bool on = operation->fields[DUMPABLE_ON].number;
	return prctl(PR_SET_DUMPABLE, on, 0, 0, 0) < 0 ? launch_fail(launch, "prctl", "PR_SET_DUMPABLE") : 0;
}

/* Without the library: it keeps some real-time signals for itself and would leave them alone. */
int op_reset_signals(struct launch *launch, const struct operation *operation) {
	(void)operation;
	struct kernel_sigaction action = {0};
	uint64_t none = 0;
	for (int number = 1; number <= LAST_SIGNAL; number++)
		if (number != SIGKILL && number != SIGSTOP)
			syscall(SYS_rt_sigaction, number, &action, NULL, sizeof(none));
	return check(launch, syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none)), "sigprocmask");
}

/* What waits for a start; nothing can be entered or executed through a FIFO. */
static bool is_fifo(int fd) {
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

/* In order of their numbers. */
static void keep(int *kept, unsigned *count, int fd) {
	if (fd < 0 || *count == MAX_KEPT)
		return;
	unsigned at = (*count)++;
	for (; at > 0 && kept[at - 1] > fd; at--)
		kept[at] = kept[at - 1];
	kept[at] = fd;
}

int launch_close_from(struct launch *launch, unsigned first) {
	int kept[MAX_KEPT];
	unsigned count = 0;
	keep(kept, &count, launch->sync);
	keep(kept, &count, launch->report);
	for (unsigned slot = 0; slot < MAX_SLOTS; slot++) {
		int fd = launch->slots[slot];
		if (fd < STANDARD_STREAMS)
			continue;
		if (slot >= SLOT_FIRST && count < MAX_KEPT && is_fifo(fd)) {
			keep(kept, &count, fd);
			continue;
		}
		if ((unsigned)fd < first)
			close(fd);
		launch->slots[slot] = -1;
	}
	for (unsigned i = 0; i < count; i++) {
		unsigned fd = (unsigned)kept[i];
		if (fd > first && kernel_close_range(first, fd - 1, 0) < 0)
			return launch_fail(launch, "close_range", "");
		first = fd >= first ? fd + 1 : first;
	}
	launch->closed = true;
	return kernel_close_range(first, ~0u, 0) < 0 ? launch_fail(launch, "close_range", "") : 0;
}

int op_close_from(struct launch *launch, const struct operation *operation) {
	return launch_close_from(launch, (unsigned)operation->fields[CLOSE_FROM_FIRST].number);
}

/* The /proc of whoever runs this may be a container's: only a real procfs without anything on top will do. */
static int open_own(const char *name) {
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (proc < 0)
		return -1;
	struct statfs status;
	int fd = -1;
	if (fstatfs(proc, &status) == 0 && status.f_type != PROC_MAGIC)
		errno = EXDEV;
	else
		fd = resolve_with(proc, name, O_WRONLY, 0, RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS);
	int error = errno;
	close(proc);
	errno = error;
	return fd;
}

int op_oom_score(struct launch *launch, const struct operation *operation) {
	char text[24];
	int length = snprintf(text, sizeof(text), "%lld", (long long)operation->fields[OOM_SCORE_VALUE].number);
	int fd = open_own("self/oom_score_adj");
	if (fd < 0)
		return launch_fail(launch, "openat2", "/proc/self/oom_score_adj");
	ssize_t written = write(fd, text, (size_t)length);
	int result = written < 0 ? launch_fail(launch, "write", "/proc/self/oom_score_adj") : 0;
	close(fd);
	return result;
}

/* Permissions of a key are the fourth field of its description, in hexadecimal. */
static int add_key_permissions(long key, uint32_t permissions) {
	char description[KEY_DESCRIPTION_BYTES];
	long length = syscall(SYS_keyctl, KEYCTL_DESCRIBE, key, description, sizeof(description) - 1);
	if (length < 0)
		return -1;
	description[length < (long)sizeof(description) ? length : (long)sizeof(description) - 1] = 0;
	const char *at = description;
	for (int i = 0; i < KEY_DESCRIPTION_BEFORE_PERMISSIONS && at; i++)
		at = (at = strchr(at, ';')) ? at + 1 : NULL;
	uint32_t old = 0;
	for (; at && *at && *at != ';'; at++)
		old = old << 4 | (uint32_t)(*at <= '9' ? *at - '0' : (*at | 0x20) - 'a' + 10);
	if ((old & permissions) == permissions)
		return 0;
	return (int)syscall(SYS_keyctl, KEYCTL_SETPERM, key, old | permissions);
}

int op_keyring(struct launch *launch, const struct operation *operation) {
	const char *name = text_of(&operation->fields[KEYRING_NAME]);
	uint32_t permissions = (uint32_t)operation->fields[KEYRING_PERMISSIONS].number;
	long key = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
	if (key < 0)
		return launch_fail(launch, "keyctl_join", name);
	if (permissions && add_key_permissions(key, permissions) < 0)
		return launch_fail(launch, "keyctl_setperm", name);
	return 0;
}

int op_loopback_up(struct launch *launch, const struct operation *operation) {
	(void)operation;
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return launch_fail(launch, "socket", "lo");
	int result = ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	if (result < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		result = launch_fail(launch, "ioctl", "lo");
	close(fd);
	return result;
}

int op_hostname(struct launch *launch, const struct operation *operation) {
	const struct value *name = &operation->fields[HOSTNAME_NAME];
	if (sethostname(text_of(name), name->length) < 0)
		return launch_fail(launch, "sethostname", text_of(name));
	return 0;
}

int op_domainname(struct launch *launch, const struct operation *operation) {
	const struct value *name = &operation->fields[DOMAINNAME_NAME];
	if (setdomainname(text_of(name), name->length) < 0)
		return launch_fail(launch, "setdomainname", text_of(name));
	return 0;
}

/*
 * A magic link may lead out of the root although the path lies in it; the kernel then has no path from our
 * root for where we are, and says "(unreachable)".
 */
int op_working_directory(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[WORKING_DIRECTORY_PATH]);
	uint64_t attempt = operation->fields[WORKING_DIRECTORY_ATTEMPT].number;
	char where[PATH_MAX];
	if (attempt == 2 && launch->in_directory)
		return 0;
	if (chdir(path) < 0)
		return attempt == 1 && (errno == EACCES || errno == EPERM) ? 0 : launch_fail(launch, "chdir", path);
	if (syscall(SYS_getcwd, where, sizeof(where)) < 0)
		return launch_fail(launch, "getcwd", path);
	launch->in_directory = true;
	return where[0] == '/' ? 0 : launch_fail_with(launch, ENOENT, "getcwd", path);
}
