/*
 * Job: a starter that waits for its plan. It holds nothing but one end of a socket, where the descriptors of
 * the start come from, an empty mount namespace, and a piece of memory for the plan, which costs nothing
 * before one is written to it.
 */
#define _GNU_SOURCE
#include "early-starter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../launcher/kernel.h"
#include "../launcher/plan.h"

#define PARTS (SLOT_FIRST + 2) /* what fills the slots, where it reports, where the shim is */
#define PART_REPORT SLOT_FIRST
#define PART_DIRECTORY (SLOT_FIRST + 1)
#define OWN_SOCKET 3

struct message {
	uint32_t length; /* of the plan */
	uint32_t parts; /* a bit for each that goes along */
};

union control {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(PARTS * sizeof(int))];
};

static struct {
	pid_t pid; /* 0: none */
	int socket;
	uint8_t *plan;
} early;

/* The next message's length, 0 at the end of the shim. */
static ssize_t receive(int *parts, struct message *message) {
	union control control;
	struct iovec vector = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;
	do
		got = recvmsg(OWN_SOCKET, &header, MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	const struct cmsghdr *first = CMSG_FIRSTHDR(&header);
	size_t count = first ? (first->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0, taken = 0;
	int fds[PARTS];
	if (got != sizeof(*message) || count > PARTS)
		return 0;
	if (first)
		memcpy(fds, CMSG_DATA(first), count * sizeof(int));
	for (unsigned i = 0; i < PARTS; i++)
		parts[i] = message->parts >> i & 1 && taken < count ? fds[taken++] : -1;
	return got;
}

/* The root, which is still the host's, becomes an empty one. 0, or -1. */
static int empty_root(void) {
	int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int made = kernel_fsconfig(context, FSCONFIG_CREATE, NULL, NULL);
	int root = made < 0 ? -1 : (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY);
	int old = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	/* Slave before it goes, so that nothing of that reaches the host. */
	bool done = root >= 0 && old >= 0 && mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) == 0 &&
		syscall(SYS_move_mount, root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) == 0 && fchdir(root) == 0 &&
		syscall(SYS_pivot_root, ".", ".") == 0 && fchdir(old) == 0 && umount2(".", MNT_DETACH) == 0;
	close(context);
	close(root);
	close(old);
	return done ? 0 : -1;
}

/*
 * A mount namespace with nothing of the host in it, which this process leaves again: the container's does not
 * have to be copied from the host's and emptied while somebody waits. -1: there is none.
 */
static int bare_mounts(void) {
	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), root = open("/", O_PATH | O_CLOEXEC);
	if (own < 0 || root < 0 || unshare(CLONE_NEWNS) < 0)
		return -1;
	int bare = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (bare < 0 || empty_root() < 0) {
		close(bare);
		bare = -1;
	}
	/* Nothing may go on elsewhere. */
	if (setns(own, CLONE_NEWNS) < 0 || fchdir(root) < 0 || chroot(".") < 0)
		_exit(1);
	close(own);
	close(root);
	return bare;
}

/* While it is nobody's it ends with the shim; then it is found by its directory, as what a shim starts is. */
static noreturn void wait_for_order(int socket, pid_t shim) {
	struct message message;
	int parts[PARTS];
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != shim || (socket != OWN_SOCKET && dup3(socket, OWN_SOCKET, O_CLOEXEC) < 0))
		_exit(1);
	kernel_close_range(OWN_SOCKET + 1, ~0u, 0);
	int mounts = bare_mounts();
	if (receive(parts, &message) == 0)
		_exit(0);
	struct order order = {.plan = early.plan, .length = message.length, .report = parts[PART_REPORT]};
	memcpy(order.given, parts, sizeof(order.given));
	order.given[SLOT_MOUNTS] = mounts;
	if (fchdir(parts[PART_DIRECTORY]) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
	close(parts[PART_DIRECTORY]);
	close(OWN_SOCKET);
	starter_run(&order);
}

static void forget(void) {
	close(early.socket);
	munmap(early.plan, MAX_PLAN_BYTES);
	early.pid = 0;
}

void early_starter_make(void) {
	int pair[2], access = PROT_READ | PROT_WRITE;
	early.plan = mmap(NULL, MAX_PLAN_BYTES, access, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (early.plan == MAP_FAILED || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	pid_t shim = getpid(), pid = fork();
	if (pid == 0)
		wait_for_order(pair[1], shim);
	close(pair[1]);
	early.socket = pair[0];
	early.pid = pid;
	if (pid < 0)
		forget();
}

static bool send_order(const struct order *order, int directory) {
	union control control;
	struct message message = {.length = (uint32_t)order->length};
	struct iovec vector = {.iov_base = &message, .iov_len = sizeof(message)};
	int parts[PARTS], fds[PARTS];
	size_t count = 0;
	memcpy(parts, order->given, sizeof(order->given));
	parts[PART_REPORT] = order->report;
	parts[PART_DIRECTORY] = directory;
	for (unsigned i = 0; i < PARTS; i++) {
		if (parts[i] < 0)
			continue;
		message.parts |= 1u << i;
		fds[count++] = parts[i];
	}
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_SPACE(count * sizeof(int)),
	};
	return sendmsg(early.socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT) > 0;
}

pid_t early_starter_take(const struct order *order) {
	if (early.pid <= 0 || order->length > MAX_PLAN_BYTES)
		return 0;
	pid_t pid = early.pid;
	int directory = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	memcpy(early.plan, order->plan, order->length);
	bool sent = directory >= 0 && send_order(order, directory);
	if (directory >= 0)
		close(directory);
	forget();
	return sent ? pid : 0;
}

void early_starter_dismiss(void) {
	if (early.pid > 0)
		forget();
}
