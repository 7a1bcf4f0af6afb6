/* Job: sync points, failures and news of the pid between starter and child. */
#include "launcher.h"

#include <poll.h>
#include <sys/socket.h>

struct message {
	uint32_t kind;
	uint32_t point;
	struct launch_failure failure;
};

int sync_open(int pair[2]) {
	int on = 1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	/* The kernel adds the sender's pid, translated: the child does not know its number outside. */
	return setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

int sync_say(struct launch *launch, enum sync_kind kind, uint32_t point) {
	struct message message = {.kind = kind, .point = point};
	return send(launch->sync, &message, offsetof(struct message, failure), MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/* What every message means, wherever it arrives; returns its kind, 0 at the end of file, -1. */
static int next(struct launch *launch, uint32_t *point, int flags) {
	struct message message;
	struct company company;
	int got = receive_with_company(launch->sync, &message, sizeof(message), flags, &company);
	if (got <= 0)
		return got;
	*point = message.point;
	if (message.kind == SYNC_KIND_FAILED) {
		launch->failure = message.failure;
		launch->failing = true;
	}
	if (message.kind == SYNC_KIND_RELEASED)
		launch->released = true;
	if (message.kind == SYNC_KIND_KNOWN)
		launch->untold--;
	if (message.kind == SYNC_KIND_EXECUTING)
		launch->executed = true;
	if (message.kind == SYNC_KIND_MOVED && company.sender > 0) {
		launch->child = company.sender;
		close(launch->child_fd);
		launch->child_fd = kernel_pidfd_open(launch->child);
		report_short(launch->report, REPORT_PID, launch->child, -1);
		sync_say(launch, SYNC_KIND_KNOWN, 0);
	}
	return (int)message.kind;
}

int op_tell(struct launch *launch, const struct value *fields) {
	int said = sync_say(launch, SYNC_KIND_POINT, (uint32_t)fields[TELL_POINT].number);
	return launch_check(launch, said, "send", "sync");
}

/* The other side is gone: what it failed at has been read, or it was killed. */
static int gone(struct launch *launch) {
	return launch_fail_with(launch, ECHILD, "sync", launch->list == LIST_CHILD ? "starter" : "child");
}

/* Until the other side is at that point; 0: until its end of the socket closes, by its execve. */
static int await(struct launch *launch, uint64_t wanted) {
	uint32_t reached = 0;
	for (;;) {
		int kind = next(launch, &reached, 0);
		if (kind < 0)
			return launch_fail(launch, "recvmsg", "sync");
		if (kind == 0)
			return wanted == 0 && launch->executed ? 0 : gone(launch);
		if (kind == SYNC_KIND_FAILED)
			return -1;
		if (kind == SYNC_KIND_POINT && wanted && reached != wanted)
			return launch_fail_with(launch, EPROTO, "sync", "another point");
		if (kind == SYNC_KIND_POINT && wanted)
			return 0;
	}
}

int op_wait(struct launch *launch, const struct value *fields) {
	return await(launch, fields[WAIT_POINT].number);
}

int op_wait_executed(struct launch *launch, const struct value *fields) {
	(void)fields;
	return await(launch, 0);
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

/*
 * By write, since it may have to get past a seccomp program, which has no reason to forbid that; SIGPIPE does
 * no harm to who ends anyway.
 */
void sync_failed(struct launch *launch) {
	struct message message = {.kind = SYNC_KIND_FAILED, .failure = launch->failure};
	if (launch->released)
		complain(&launch->failure);
	else if (write(launch->sync, &message, sizeof(message)) < 0)
		return;
}

/* Whether the starter has said that it is done; what it had said stays readable behind its end. */
static bool released(struct launch *launch) {
	uint32_t point;
	while (!launch->released && next(launch, &point, MSG_DONTWAIT) > 0)
		;
	return launch->released;
}

bool sync_executing(struct launch *launch) {
	uint32_t point;
	bool heard = sync_say(launch, SYNC_KIND_EXECUTING, 0) == 0;
	while (launch->untold > 0 && next(launch, &point, 0) > 0)
		;
	return launch->untold == 0 && (heard || released(launch));
}

bool sync_child_has_failed(struct launch *launch) {
	uint32_t point;
	while (launch->sync >= 0 && !launch->failing && next(launch, &point, MSG_DONTWAIT) > 0)
		;
	return launch->failing;
}

/*
 * The descriptor was opened for reading without waiting for a writer: a writer that finds no reader knows
 * that the container is gone, and nothing has to be opened by a path of the image. When the starter dies
 * before it is done, so does the child.
 */
int op_wait_start(struct launch *launch, const struct value *fields) {
	char byte;
	int fifo = fields[WAIT_START_SLOT].fd;
	struct pollfd polled[] = {{.fd = fifo, .events = POLLIN}, {.fd = launch->sync}}; /* its end */
	for (;;) {
		if (poll(polled, 2, -1) < 0 && errno != EINTR)
			return launch_fail(launch, "poll", "start");
		/* Asked in any case: later a seccomp program may forbid it. */
		bool alone = (polled[0].revents || polled[1].revents) && released(launch);
		if (polled[0].revents && (read(fifo, &byte, 1) >= 0 || (errno != EAGAIN && errno != EINTR)))
			return 0;
		if (polled[1].revents && !alone)
			_exit(1);
		if (polled[1].revents)
			polled[1].fd = -1;
	}
}
