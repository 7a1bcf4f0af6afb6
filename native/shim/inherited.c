/* Job: what the spawner handed over: descriptors, and the oom score that OCI runtimes get back. */
#define _GNU_SOURCE
#include "inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "connection.h"
#include "error.h"
#include "limits.h"
#include "protocol.h"
#include "record.h"
#include "scratch.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static char oom_score[16] = "0";
static bool has_rootfs, has_netns, assigned;
static char *shown_name;
static size_t name_room;
static int ports[MAX_PORTS]; /* untouched, and so no memory, but for those that are held */
static unsigned held_ports;

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
void inherited_hold(char *name) {
	shown_name = name;
	name_room = strlen(name);
	for (int fd = 0; fd <= FD_GIFTS; fd++) {
		bool inherited = fd != FD_ROOTFS && fd != FD_NETNS && fcntl(fd, F_GETFD) >= 0;
		if (!inherited && fd == FD_CONTROL)
			die("descriptor 3", EBADF);
		int filler = inherited ? -1 : open("/dev/null", O_RDWR);
		if (!inherited && filler != fd && (dup2(filler, fd) < 0 || close(filler) < 0))
			die("fill descriptor", errno);
		if (fd >= FD_CONTROL && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			die("inherited descriptor", errno);
	}
	syscall(SYS_close_range, FD_GIFTS + 1, ~0u, 0);
}

/* They were sent before the request that counts them. */
static int take_gifts(unsigned count) {
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(MAX_GIFTS_BYTES)];
	} control;
	for (unsigned taken = 0; taken < count;) {
		char byte;
		struct iovec vector = {.iov_base = &byte, .iov_len = 1};
		struct msghdr message = {
			.msg_iov = &vector,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control),
		};
		if (recvmsg(FD_GIFTS, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
			return errno ? errno : EPROTO;
		struct cmsghdr *header = CMSG_FIRSTHDR(&message);
		if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			return EPROTO;
		unsigned got = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (got > count - taken || (message.msg_flags & MSG_CTRUNC) != 0)
			return EPROTO;
		memcpy(scratch.gifts + taken, CMSG_DATA(header), got * sizeof(int));
		taken += got;
	}
	return 0;
}

static int enter_directory(const struct frame *frame) {
	char *path = scratch.directory;
	if (!field_text(frame, FIELD_DIRECTORY, path, sizeof(scratch.directory)) || path[0] != '/')
		return EINVAL;
	int fd = chdir(path) < 0 ? -1 : open("shim.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0)
		return errno;
	close(fd);
	return 0;
}

/* Clients that waited before there was a shim: they are attached before anything can start. */
static void serve_connections(const int *fds, unsigned count) {
	for (unsigned i = 0; i < count; i++)
		connection_take(connection_add(fds[i]));
}

int inherited_assign(const struct frame *frame, const char **step) {
	char id[MAX_EXEC_ID + 1];
	uint64_t count = field_int(frame, FIELD_PORTS, 0), clients = field_int(frame, FIELD_CLIENTS, 0);
	unsigned roots = field_int(frame, FIELD_ROOTS, 0) != 0;
	*step = "counts";
	if (count > MAX_PORTS || clients >= MAX_CONNECTIONS || !field_text(frame, FIELD_ID, id, sizeof(id)))
		return EINVAL;
	*step = "directory";
	int error = enter_directory(frame);
	if (error)
		return error;
	*step = "descriptors";
	error = take_gifts(roots + (unsigned)count + (unsigned)clients);
	if (!error && roots && dup3(scratch.gifts[0], FD_ROOTFS, O_CLOEXEC) < 0)
		error = errno;
	if (error)
		return error;
	if (roots)
		close(scratch.gifts[0]);
	has_rootfs = roots;
	held_ports = (unsigned)count;
	memcpy(ports, scratch.gifts + roots, held_ports * sizeof(int));
	strncpy(shown_name, id, name_room);
	assigned = true;
	record_shim();
	listen_open();
	serve_connections(scratch.gifts + roots + count, (unsigned)clients);
	return 0;
}

bool inherited_is_assigned(void) {
	return assigned;
}

void inherited_drop_ports(void) {
	for (; held_ports > 0; held_ports--)
		close(ports[held_ports - 1]);
}

void inherited_drop_rootfs(void) {
	if (has_rootfs)
		close(FD_ROOTFS);
	has_rootfs = false;
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
