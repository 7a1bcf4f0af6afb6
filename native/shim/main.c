/* Job: become a shim and run its loop until nobody needs it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "connection.h"
#include "control.h"
#include "early-starter.h"
#include "error.h"
#include "exit.h"
#include "idle.h"
#include "inherited.h"
#include "launch-command.h"
#include "loop.h"
#include "oom.h"
#include "overlay.h"
#include "process.h"
#include "protocol.h"
#include "record.h"
#include "stdio-streams.h"

static void children_ready(struct source *source, uint32_t events);
static struct source children = {.fd = -1, .ready = children_ready};
static uint64_t now_ns, next_ns;

static void children_ready(struct source *source, uint32_t events) {
	struct signalfd_siginfo info;
	(void)events;
	while (read(source->fd, &info, sizeof(info)) == sizeof(info))
		;
	exit_collect();
}

static void detach(void) {
	pid_t pid = fork();
	if (pid < 0)
		die("fork", errno);
	if (pid > 0)
		_exit(0);
	/* Executed by descriptor, it would be called by a number. */
	prctl(PR_SET_NAME, "gantry-shim", 0, 0, 0);
	if (setsid() < 0)
		die("setsid", errno);
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		die("prctl", errno);
}

static void watch_children(void) {
	sigset_t all, child;
	sigfillset(&all);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_SETMASK, &all, NULL);
	children.fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (children.fd < 0)
		die("signalfd", errno);
	loop_want(&children, EPOLLIN);
}

static void earliest(uint64_t deadline) {
	if (deadline != 0 && (next_ns == 0 || deadline < next_ns))
		next_ns = deadline;
}

static void visit_deadline(struct process *process) {
	earliest(stdio_deadline(process, now_ns));
}

static int wait_ms(void) {
	now_ns = steady_clock_ns();
	next_ns = 0;
	process_each(visit_deadline);
	earliest(connection_deadline(now_ns));
	earliest(oom_deadline(now_ns));
	earliest(idle_deadline(now_ns));
	return next_ns == 0 ? -1 : (int)((next_ns - now_ns) / 1000000 + 1);
}

/*
 * The files tell everything once the container has ended; a shim that nobody is connected to is not needed.
 */
static bool needed(void) {
	const struct process *init = process_main();
	if (connection_count(ROLE_ATTACH) > 0 || connection_count(ROLE_LEAVING) > 0)
		return true;
	if (control_released())
		return false;
	if (connection_count(ROLE_CONTROL) > 0 || process_any_running())
		return true;
	if (init->state == PROCESS_NEW)
		return connection_count(ROLE_GREETING) > 0;
	return !init->streams_ended;
}

static noreturn void serve(char *name) {
	inherited_hold(name);
	detach();
	inherited_remember_oom_score();
	record_remember_shim();
	loop_open();
	watch_children();
	processes_open();
	connections_open();
	control_open();
	attach_open();
	connection_add(FD_CONTROL);
	early_starter_make();
	while (needed()) {
		stdio_gather();
		loop_once(wait_ms());
	}
	listen_close();
	if (inherited_is_assigned())
		record_remove_shim();
	_exit(0);
}

int main(int argc, char **argv) {
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	if (argc == 4 && strcmp(argv[1], "overlay") == 0)
		return overlay_main(argv[2], argv[3]);
	if (argc > 2 && strcmp(argv[1], "launch") == 0)
		return launch_main(argc - 2, argv + 2);
	die("usage: gantry-shim serve NAME | overlay DIRECTORY OPTIONS | launch PLAN_FD...", EINVAL);
}
