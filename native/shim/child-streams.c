/* Job: the standard streams that a child is born with: pipes to the shim, or the null device. */
#define _GNU_SOURCE
#include "child-streams.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "console.h"
#include "process.h"
#include "protocol.h"

/* One pipe: the child's end is returned, ours goes to the source. -1 on failure. */
static int make_pipe(const struct process *process, struct source *ours, bool child_reads) {
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	/* So that its user can open /dev/stdout; a pipe of nobody's stays shut. */
	if (process->stdio_uid != 0 && fchown(ends[0], process->stdio_uid, process->stdio_gid) < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	ours->fd = ends[child_reads ? 1 : 0];
	fcntl(ours->fd, F_SETFL, O_NONBLOCK);
	return ends[child_reads ? 0 : 1];
}

static int null_device(void) {
	return open("/dev/null", O_RDWR | O_CLOEXEC);
}

/* Nothing to read, and nothing of the host's. */
static int empty_pipe(const struct process *process) {
	struct source ours = {.fd = -1};
	int end = make_pipe(process, &ours, true);
	if (end >= 0)
		close(ours.fd);
	return end;
}

int child_streams_open(struct process *process, struct child_streams *streams) {
	/* crun gives its streams to the root of a user namespace, even when they are the host's /dev/null. */
	bool gives_away = process->stdio_uid != 0 && !process->by_plan;
	bool detached = (process->flags & START_DETACHED) != 0 && !gives_away;
	bool has_stdin = (process->flags & START_STDIN) != 0 && !process->terminal && !detached;
	/* A runtime has something to say even when its container has a terminal. */
	bool has_err = process->terminal ? !process->by_plan : !detached;
	int error = process->terminal && !process->by_plan ? console_listen(process) : 0;
	if (error)
		return error;
	streams->in = has_stdin ? make_pipe(process, &process->in, true)
		: gives_away		? empty_pipe(process)
					: null_device();
	streams->out = process->terminal || detached ? null_device() : make_pipe(process, &process->out, false);
	streams->err = has_err ? make_pipe(process, &process->err, false) : null_device();
	return streams->in < 0 || streams->out < 0 || streams->err < 0 ? errno : 0;
}

void child_streams_close(const struct child_streams *streams) {
	if (streams->in >= 0)
		close(streams->in);
	if (streams->out >= 0)
		close(streams->out);
	if (streams->err >= 0)
		close(streams->err);
}
