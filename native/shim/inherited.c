/* Job: what the spawner handed over: descriptors, and the oom score that children get back. */
#define _GNU_SOURCE
#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "connection.h"
#include "error.h"
#include "protocol.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static char oom_score[16] = "0";
static bool has_rootfs, has_netns;
static unsigned held_ports, held_connections;

void inherited_remember_oom_score(void) {
	int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
	ssize_t got = fd < 0 ? -1 : read(fd, oom_score, sizeof(oom_score) - 1);
	if (got > 0)
		oom_score[got] = 0;
	/*
	 * Without the right to lower it the shim is as likely a victim as anybody; that is no reason not to start.
	 */
	if (fd < 0 || (pwrite(fd, "-998", 4, 0) < 0 && errno != EACCES && errno != EPERM))
		complain("oom_score_adj", errno);
	if (fd >= 0)
		close(fd);
}

/* A missing descriptor's number is filled, so that nothing else can take it. */
void inherited_hold(unsigned ports, unsigned connections) {
	has_rootfs = fcntl(FD_ROOTFS, F_GETFD) >= 0;
	has_netns = fcntl(FD_NETNS, F_GETFD) >= 0;
	for (int fd = 0; fd <= FD_NETNS; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		if (fd == FD_CONTROL)
			die("descriptor 3", EBADF);
		int filler = open("/dev/null", O_RDWR);
		if (filler != fd && (dup2(filler, fd) < 0 || close(filler) < 0))
			die("fill descriptor", errno);
	}
	held_ports = ports;
	held_connections = connections;
	for (unsigned fd = FD_CONTROL; fd < FD_PORTS + ports + connections; fd++)
		if (fcntl((int)fd, F_SETFD, FD_CLOEXEC) < 0)
			die("inherited descriptor", errno);
	syscall(SYS_close_range, FD_PORTS + ports + connections, ~0u, 0);
}

void inherited_drop_ports(void) {
	if (held_ports > 0)
		syscall(SYS_close_range, FD_PORTS, FD_PORTS + held_ports - 1, 0);
	held_ports = 0;
}

void inherited_drop_rootfs(void) {
	if (has_rootfs)
		close(FD_ROOTFS);
	has_rootfs = false;
}

/* Their clients waited before there was a shim: they are attached before anything can start. */
void inherited_serve_connections(unsigned ports) {
	for (unsigned fd = FD_PORTS + ports; fd < FD_PORTS + ports + held_connections; fd++)
		connection_take(connection_add((int)fd));
}

int inherited_rootfs(void) {
	return has_rootfs ? FD_ROOTFS : -1;
}

int inherited_netns(void) {
	return has_netns ? FD_NETNS : -1;
}

int inherited_take_netns(const char *path) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	int error = dup3(fd, FD_NETNS, O_CLOEXEC) < 0 ? errno : 0;
	close(fd);
	has_netns = has_netns || !error;
	return error;
}

void inherited_restore_oom_score(void) {
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, oom_score, strlen(oom_score)) < 0)
		complain("oom_score_adj of a child", errno);
}
