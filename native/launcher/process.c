/* Job: attributes of the process that are no credentials: session, limits, scheduling, names, where it is. */
#include "launcher.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/socket.h>

#define LAST_SIGNAL 64

int op_set_session(struct launch *launch, const struct value *fields) {
	(void)fields;
	return launch_check(launch, setsid(), "setsid", "");
}

int op_rlimit(struct launch *launch, const struct value *fields) {
	uint64_t limits[2] = {fields[RLIMIT_SOFT].number, fields[RLIMIT_HARD].number};
	unsigned resource = (unsigned)fields[RLIMIT_RESOURCE].number;
	pid_t pid = launch->list == LIST_PARENT ? launch->child : 0;
	return launch_check(launch, syscall(SYS_prlimit64, pid, resource, limits, NULL), "prlimit", "");
}

int op_umask(struct launch *launch, const struct value *fields) {
	return launch_check(launch, umask((mode_t)fields[UMASK_MASK].number & 0777), "umask", "");
}

int op_personality(struct launch *launch, const struct value *fields) {
	return launch_check(launch, personality(fields[PERSONALITY_DOMAIN].number), "personality", "");
}

int op_io_priority(struct launch *launch, const struct value *fields) {
	int value = (int)fields[IO_PRIORITY_VALUE].number;
	return launch_check(launch, syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, value), "ioprio_set", "");
}

int op_scheduler(struct launch *launch, const struct value *fields) {
	struct kernel_sched_attr attr = {sizeof(attr), (uint32_t)fields[SCHEDULER_POLICY].number,
		fields[SCHEDULER_FLAGS].number, (int32_t)fields[SCHEDULER_NICE].number,
		(uint32_t)fields[SCHEDULER_PRIORITY].number, fields[SCHEDULER_RUNTIME].number,
		fields[SCHEDULER_DEADLINE].number, fields[SCHEDULER_PERIOD].number};
	return launch_check(launch, syscall(SYS_sched_setattr, 0, &attr, 0), "sched_setattr", "");
}

int op_affinity(struct launch *launch, const struct value *fields) {
	const struct value *mask = &fields[AFFINITY_MASK];
	long result = syscall(SYS_sched_setaffinity, 0, mask->length, mask->bytes);
	return launch_check(launch, result, "sched_setaffinity", "");
}

int op_dumpable(struct launch *launch, const struct value *fields) {
	bool on = fields[DUMPABLE_ON].number;
	return launch_check(launch, prctl(PR_SET_DUMPABLE, on, 0, 0, 0), "prctl", "PR_SET_DUMPABLE");
}

/* Without the library: it keeps some real-time signals for itself and would leave them alone. */
int op_reset_signals(struct launch *launch, const struct value *fields) {
	static const uint64_t standard[4]; /* struct sigaction of the kernel: SIG_DFL, no flags, no mask */
	uint64_t none = 0;
	(void)fields;
	for (int number = 1; number <= LAST_SIGNAL; number++)
		if (number != SIGKILL && number != SIGSTOP)
			syscall(SYS_rt_sigaction, number, standard, NULL, sizeof(none));
	long result = syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
	return launch_check(launch, result, "sigprocmask", "");
}

int op_keyring(struct launch *launch, const struct value *fields) {
	const char *name = fields[KEYRING_NAME].text;
	uint32_t permissions = (uint32_t)fields[KEYRING_PERMISSIONS].number;
	long key = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name);
	if (key < 0)
		return launch_fail(launch, "keyctl_join", name);
	int result = permissions ? (int)syscall(SYS_keyctl, KEYCTL_SETPERM, key, permissions) : 0;
	return launch_check(launch, result, "keyctl_setperm", name);
}

int op_loopback_up(struct launch *launch, const struct value *fields) {
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	(void)fields;
	if (fd < 0)
		return launch_fail(launch, "socket", "lo");
	int result = ioctl(fd, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP;
	if (result >= 0)
		result = ioctl(fd, SIOCSIFFLAGS, &request);
	launch_check(launch, result, "ioctl", "lo");
	close(fd);
	return result;
}

int op_hostname(struct launch *launch, const struct value *fields) {
	const struct value *name = &fields[HOSTNAME_NAME];
	return launch_check(launch, sethostname(name->text, name->length), "sethostname", name->text);
}

int op_domainname(struct launch *launch, const struct value *fields) {
	const struct value *name = &fields[DOMAINNAME_NAME];
	return launch_check(launch, setdomainname(name->text, name->length), "setdomainname", name->text);
}

/*
 * A magic link may lead out of the root although the path lies in it; the kernel then has no path from our
 * root for where we are, and says "(unreachable)".
 */
int op_working_directory(struct launch *launch, const struct value *fields) {
	const char *path = fields[WORKING_DIRECTORY_PATH].text;
	uint64_t attempt = fields[WORKING_DIRECTORY_ATTEMPT].number;
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
