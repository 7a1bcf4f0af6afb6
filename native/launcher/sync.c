/* Job: sync points, failures and news of the pid between starter and child. */
#define _GNU_SOURCE
#include "sync.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel.h"

enum kind {
	KIND_POINT = 1,
	KIND_FAILED = 2,
	KIND_EXECUTING = 3, /* what comes after may be silent: the seccomp program may forbid to speak */
	KIND_MOVED = 4, /* cloneAgain: the sender is the child now */
	KIND_RELEASED = 5, /* the starter is done */
};

struct message {
	uint32_t kind;
	uint32_t point;
	struct launch_failure failure;
};

#define SHORT_BYTES offsetof(struct message, failure)

int sync_open(int pair[2]) {
	int on = 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	/* The kernel adds the sender's pid, translated: the child does not know its number outside. */
	return setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

/*
 * A failure may have to get past a seccomp program, which has no reason to forbid write; SIGPIPE then does no
 * harm to who ends anyway.
 */
static int say(struct launch *launch, const struct message *message) {
	if (message->kind == KIND_FAILED)
		return write(launch->sync, message, sizeof(*message)) < 0 ? -1 : 0;
	return send(launch->sync, message, SHORT_BYTES, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* 1, 0 at the end of file, -1 with errno. */
static int hear(struct launch *launch, struct message *message, pid_t *sender, int flags) {
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct iovec vector = {.iov_base = message, .iov_len = sizeof(*message)};
	struct msghdr header = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t got;
	memset(message, 0, sizeof(*message));
	do
		got = recvmsg(launch->sync, &header, flags | MSG_CMSG_CLOEXEC);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return (int)got;
	struct cmsghdr *first = CMSG_FIRSTHDR(&header);
	if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_CREDENTIALS) {
		struct ucred credentials;
		memcpy(&credentials, CMSG_DATA(first), sizeof(credentials));
		*sender = credentials.pid;
	}
	return 1;
}

static void take_failure(struct launch *launch, const struct message *message) {
	launch->failure = message->failure;
	launch->failure.step[REPORT_STEP_BYTES - 1] = 0;
	launch->failure.object[REPORT_OBJECT_BYTES - 1] = 0;
	launch->failing = true;
}

/* What every message means, wherever it arrives; returns its kind, 0 at the end of file, -1. */
static int next(struct launch *launch, uint32_t *point, int flags) {
	struct message message;
	pid_t sender = 0;
	int got = hear(launch, &message, &sender, flags);
	if (got <= 0)
		return got;
	*point = message.point;
	if (message.kind == KIND_FAILED)
		take_failure(launch, &message);
	if (message.kind == KIND_RELEASED)
		launch->released = true;
	if (message.kind == KIND_EXECUTING)
		launch->executed = true;
	if (message.kind == KIND_MOVED && sender > 0) {
		launch->child = sender;
		close(launch->child_fd);
		launch->child_fd = kernel_pidfd_open(sender);
		report_pid(launch->report, sender);
	}
	return (int)message.kind;
}

int sync_tell(struct launch *launch, uint32_t point) {
	struct message message = {.kind = KIND_POINT, .point = point};
	return say(launch, &message) < 0 ? launch_fail(launch, "send", "sync") : 0;
}

/* The other side is gone: what it failed at has been read, or it was killed. */
static int gone(struct launch *launch) {
	return launch_fail_with(launch, ECHILD, "sync", launch->list == LIST_CHILD ? "starter" : "child");
}

int sync_wait(struct launch *launch, uint32_t point) {
	uint32_t reached = 0;
	for (;;) {
		int kind = next(launch, &reached, 0);
		if (kind < 0)
			return launch_fail(launch, "recvmsg", "sync");
		if (kind == 0)
			return gone(launch);
		if (kind == KIND_FAILED)
			return -1;
		if (kind == KIND_POINT)
			return reached == point ? 0 : launch_fail_with(launch, EPROTO, "sync", "another point");
	}
}

/* In the words of other runtimes, to who sees the program's errors. */
static void complain(const struct launch_failure *failure) {
	bool executing = failure->code == OP_EXECUTE || failure->code == OP_FIND_PROGRAM;
	char text[REPORT_STEP_BYTES + REPORT_OBJECT_BYTES + 80], why[64];
	snprintf(why, sizeof(why), "%s", strerror(failure->error));
	why[0] |= 0x20;
	const char *step = executing ? "exec" : failure->step;
	int length = snprintf(text, sizeof(text), "%s %s: %s\n", step, failure->object, why);
	if (write(STDERR_FILENO, text, (size_t)length) < 0)
		return;
}

void sync_failed(struct launch *launch) {
	struct message message = {.kind = KIND_FAILED, .failure = launch->failure};
	if (launch->released)
		complain(&launch->failure);
	else
		say(launch, &message);
}

/* Whether the starter has said that it is done; what it had said stays readable behind its end. */
static bool released(struct launch *launch) {
	uint32_t point;
	while (!launch->released && next(launch, &point, MSG_DONTWAIT) > 0)
		;
	return launch->released;
}

bool sync_executing(struct launch *launch) {
	struct message message = {.kind = KIND_EXECUTING};
	if (launch->sync < 0 || say(launch, &message) == 0)
		return true;
	return released(launch);
}

void sync_moved(struct launch *launch) {
	struct message message = {.kind = KIND_MOVED};
	say(launch, &message);
}

int sync_wait_readable(struct launch *launch, int fd) {
	struct pollfd polled[] = {{.fd = fd, .events = POLLIN}, {.fd = launch->sync}}; /* its end */
	for (;;) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return -1;
		if (polled[0].revents) {
			/* To know it later, when a seccomp program may forbid to ask. */
			released(launch);
			return 0;
		}
		if (polled[1].revents && !released(launch))
			_exit(1);
		if (polled[1].revents)
			polled[1].fd = -1;
	}
}

int sync_wait_executed(struct launch *launch) {
	uint32_t point;
	for (;;) {
		int kind = next(launch, &point, 0);
		if (kind < 0)
			return launch_fail(launch, "recvmsg", "sync");
		if (kind == KIND_FAILED)
			return -1;
		if (kind == 0)
			return launch->executed ? 0 : gone(launch);
	}
}

void sync_release(struct launch *launch) {
	struct message message = {.kind = KIND_RELEASED};
	say(launch, &message);
}

bool sync_child_has_failed(struct launch *launch) {
	uint32_t point;
	int kind = 0;
	while (launch->sync >= 0 && !launch->failing && (kind = next(launch, &point, MSG_DONTWAIT)) > 0)
		;
	return launch->failing;
}
