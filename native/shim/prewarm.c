/*
 * Job: let the OCI runtime's move to the container's cgroup not wait. The first move after a quiet time waits
 * for an RCU grace period, about 8 ms; those that follow soon after do not. So a child moves itself to where
 * it already is, while everything else is still being prepared.
 */
#define _GNU_SOURCE
#include "prewarm.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "limits.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* Our own cgroup in any hierarchy: the lock is the same. A named one has another directory name. */
static int open_own_cgroup(void) {
	char lines[4 * KIB], path[MAX_PATH_BYTES + 64];
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, lines, sizeof(lines) - 1);
	if (fd >= 0)
		close(fd);
	lines[got < 0 ? 0 : got] = 0;
	for (char *line = lines, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		char *controllers = strchr(line, ':');
		char *own = controllers ? strchr(controllers + 1, ':') : NULL;
		if (!own || strchr(controllers, '='))
			continue;
		*own++ = 0;
		snprintf(path, sizeof(path), "/sys/fs/cgroup/%s%s/cgroup.procs", controllers + 1, own);
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd >= 0)
			return fd;
	}
	return -1;
}

void prewarm_cgroups(void) {
	pid_t pid = fork();
	if (pid != 0)
		return;
	/* It may wait: nothing of the shim's must stay open because of it. */
	syscall(SYS_close_range, 3, ~0u, 0);
	int procs = open_own_cgroup();
	_exit(procs >= 0 && write(procs, "0", 1) == 1 ? 0 : 1);
}
