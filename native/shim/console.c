/* Job: receive a pseudo-terminal's master from the OCI runtime. */
#define _GNU_SOURCE
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "process.h"

int console_listen(struct process *process) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	strncpy(address.sun_path, process->console_name, sizeof(address.sun_path) - 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return errno;
	unlink(address.sun_path);
	mode_t mask = umask(0177);
	bool failed = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 4) < 0;
	int error = errno;
	umask(mask);
	if (failed) {
		close(fd);
		return error;
	}
	process->console.fd = fd;
	return 0;
}

static int receive_descriptor(int socket) {
	char byte[256];
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec vector = {.iov_base = byte, .iov_len = sizeof(byte)};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) <= 0)
		return -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof(int)))
		return -1;
	int fd;
	memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* A container chooses what it hands over; only a master of a devpts is a terminal. */
static bool is_master(int fd) {
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(5, 2);
}

int console_take(struct process *process) {
	int peer = accept4(process->console.fd, NULL, NULL, SOCK_CLOEXEC);
	int master = peer < 0 ? -1 : receive_descriptor(peer);
	if (peer >= 0)
		close(peer);
	close(process->console.fd);
	process->console.fd = -1;
	unlink(process->console_name);
	return master < 0 ? ENOTTY : console_adopt(process, master);
}

int console_adopt(struct process *process, int master) {
	if (process->out.fd >= 0 || !is_master(master)) {
		close(master);
		return ENOTTY;
	}
	fcntl(master, F_SETFL, fcntl(master, F_GETFL) | O_NONBLOCK);
	process->out.fd = master;
	process->in.fd = fcntl(master, F_DUPFD_CLOEXEC, 6);
	if (process->resized)
		console_resize(process, process->width, process->height);
	return 0;
}

int console_resize(struct process *process, unsigned width, unsigned height) {
	process->width = (uint16_t)width;
	process->height = (uint16_t)height;
	process->resized = true;
	if (process->state < PROCESS_RUNNING && process->out.fd < 0)
		return 0;
	if (!process->terminal)
		return ENOTTY;
	if (process->out.fd < 0)
		return ESRCH;
	struct winsize size = {.ws_col = process->width, .ws_row = process->height};
	return ioctl(process->out.fd, TIOCSWINSZ, &size) < 0 ? errno : 0;
}
