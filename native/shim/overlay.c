/* Job: a detached overlay mount on kernels whose mount API takes no list of lower layers. */
#define _GNU_SOURCE
#include "overlay.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "error.h"

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#define TREE_CLONE 1
#define OPTION_PAGE_BYTES 4096

static void check(int result, const char *step) {
	if (result < 0)
		die(step, errno);
}

static void send_descriptor(int socket, int fd) {
	char byte = '0';
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	memset(&control, 0, sizeof(control));
	struct iovec vector = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	check(sendmsg(socket, &message, MSG_NOSIGNAL) == 1 ? 0 : -1, "send descriptor");
}

/*
 * The scratch tmpfs covers /proc, the one directory that surely exists and holds no layer; the namespace ends
 * with this process.
 */
int overlay_main(const char *directory, const char *options) {
	/* Before unshare, which takes the working directory along; a descriptor would stay in the old namespace. */
	check(chdir(directory), "open directory");
	if (strlen(options) >= OPTION_PAGE_BYTES)
		die("options", E2BIG);
	check(unshare(CLONE_NEWNS), "unshare");
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / rprivate");
	check(mount("none", "/proc", "tmpfs", 0, "size=4k,mode=700"), "scratch tmpfs");
	check(mkdirat(AT_FDCWD, "/proc/merged", 0700), "mkdir");
	check(mount("overlay", "/proc/merged", "overlay", 0, options), "mount overlay");
	int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/merged", TREE_CLONE | O_CLOEXEC);
	check(tree, "open_tree");
	send_descriptor(3, tree);
	return 0;
}
