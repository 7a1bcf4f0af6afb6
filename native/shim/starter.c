/*
 * Job: start a process by a launch plan. A fork of the shim, the starter, carries the plan out and tells by
 * messages what it has made; the shim's loop never waits for anybody's path.
 */
#define _GNU_SOURCE
#include "starter.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../launcher/launcher.h"
#include "child-streams.h"
#include "console.h"
#include "early-starter.h"
#include "inherited.h"
#include "process.h"
#include "protocol.h"
#include "record.h"

#define PLAN_ALIGNMENT 8

static struct launch_failure failures[MAX_PROCESSES]; /* untouched, and so no memory, until one is told */

static struct launch_failure *failure_of(const struct process *process) {
	return &failures[process - process_main()];
}

static noreturn void refuse(int report, int error, const char *reason) {
	struct launch_failure failure = {.error = error, .step = "plan"};
	strncpy(failure.object, reason, sizeof(failure.object) - 1);
	report_failed(report, &failure);
	_exit(1);
}

/* What a launch talks through, beside the streams. */
struct channels {
	int reports[2];
	int network_ready[2]; /* -1 when its network is there before it begins */
};

noreturn void starter_run(const struct order *order) {
	static struct plan plan;
	const uint8_t *bytes = order->plan;
	if (order->length == 0 || order->length > MAX_PLAN_BYTES)
		refuse(order->report, E2BIG, "size");
	if ((uintptr_t)bytes % PLAN_ALIGNMENT != 0) {
		void *copy = mmap(NULL, order->length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (copy == MAP_FAILED)
			refuse(order->report, errno, "memory");
		bytes = memcpy(copy, bytes, order->length);
	}
	if (!plan_decode(&plan, bytes, order->length))
		refuse(order->report, EINVAL, plan.reason ? plan.reason : "");
	launch_execute(&plan, order->given, SLOT_FIRST, order->report);
}

static struct order order_of(const struct process *process, const struct field *field,
	const struct child_streams *streams, const struct channels *channels) {
	struct order order = {.plan = field->data, .length = field->length, .report = channels->reports[1]};
	for (int slot = 0; slot < SLOT_FIRST; slot++)
		order.given[slot] = -1;
	order.given[SLOT_ROOTFS] = inherited_rootfs();
	order.given[SLOT_NETNS] = inherited_netns();
	order.given[SLOT_INIT] = process == process_main() ? -1 : process_main()->pidfd;
	order.given[SLOT_IN] = streams->in;
	order.given[SLOT_OUT] = streams->out;
	order.given[SLOT_ERR] = streams->err;
	order.given[SLOT_NETWORK_READY] = channels->network_ready[0];
	return order;
}

static int channels_open(struct channels *channels, const struct process *process) {
	channels->network_ready[0] = channels->network_ready[1] = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channels->reports) < 0)
		return errno;
	bool later = process == process_main() && (process->flags & START_NETWORK_LATER) != 0;
	if (!later || pipe2(channels->network_ready, O_CLOEXEC | O_NONBLOCK) == 0)
		return 0;
	int error = errno;
	close(channels->reports[0]);
	close(channels->reports[1]);
	return error;
}

int starter_spawn(struct process *process, const struct frame *frame, const char **step) {
	struct child_streams streams = {-1, -1, -1};
	struct channels channels;
	struct field field;
	*step = "plan";
	if (!field_find(frame, FIELD_PLAN, &field))
		return EINVAL;
	*step = "streams";
	int error = child_streams_open(process, &streams);
	if (!error)
		error = channels_open(&channels, process);
	if (error) {
		child_streams_close(&streams);
		return error;
	}
	*step = "fork";
	struct order order = order_of(process, &field, &streams, &channels);
	pid_t pid = process == process_main() ? early_starter_take(&order) : 0;
	if (pid == 0 && (pid = fork()) == 0)
		starter_run(&order);
	error = errno;
	sched_yield(); /* what is to be done here can wait */
	child_streams_close(&streams);
	close(channels.reports[1]);
	if (channels.network_ready[0] >= 0)
		close(channels.network_ready[0]);
	process->reports = channels.reports[0];
	process->network_ready = channels.network_ready[1];
	if (pid < 0) {
		starter_close(process);
		return error;
	}
	fcntl(process->reports, F_SETFL, O_NONBLOCK);
	process->runtime_pid = pid;
	return 0;
}

/* Nothing waits for it before the last part of a start. */
int starter_network_ready(struct process *process) {
	if (process->network_ready < 0)
		return ESRCH;
	int error = write(process->network_ready, "", 1) < 0 ? errno : 0;
	close(process->network_ready);
	process->network_ready = -1;
	return error;
}

/* A second number replaces the first: that process was a step on the way. */
static void take_pid(struct process *process, pid_t pid) {
	process_forget_pid(process);
	process->ended_early = false;
	process->pid = process->known_pid = pid;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	process->start_time = record_start_time(pid);
}

void starter_collect(struct process *process) {
	struct launch_report report;
	int master = -1;
	while (process->reports >= 0 && report_read(process->reports, &report, &master) > 0) {
		if (report.kind == REPORT_PID && report.pid > 0)
			take_pid(process, report.pid);
		else if (report.kind == REPORT_FAILED)
			*failure_of(process) = report.failure;
		else if (report.kind == REPORT_TERMINAL && master >= 0)
			console_adopt(process, master);
		else if (master >= 0)
			close(master);
	}
}

const struct launch_failure *starter_failure(const struct process *process) {
	const struct launch_failure *failure = failure_of(process);
	return failure->error || failure->status ? failure : NULL;
}

void starter_close(struct process *process) {
	if (process->reports >= 0)
		close(process->reports);
	if (process->network_ready >= 0)
		close(process->network_ready);
	process->reports = process->network_ready = -1;
	struct launch_failure *failure = failure_of(process);
	if (failure->error || failure->status)
		memset(failure, 0, sizeof(*failure));
}
