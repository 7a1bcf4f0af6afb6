/* Job: reap. The runtime's exit decides about a start; a process's exit is recorded, told, and kept. */
#define _GNU_SOURCE
#include "exit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../launcher/report.h"
#include "attach.h"
#include "clock.h"
#include "console.h"
#include "inherited.h"
#include "oom.h"
#include "process.h"
#include "protocol.h"
#include "record.h"
#include "runtime.h"
#include "starter.h"
#include "stdio-streams.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

/*
 * Somebody else reaped the process, so its status is gone; waiting for it for ever would be worse. Exit code
 * 255.
 */
#define LOST_STATUS (255 << 8)

static const struct exit_listener *listener;

void exit_listen(const struct exit_listener *given) {
	listener = given;
}

static int exit_code(int status) {
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Clients who wait for an exec that will never be. */
static void end_reserved(struct process *process) {
	if (process == process_main() || process->state != PROCESS_NEW)
		return;
	process->streams_ended = true;
	attach_progress(process);
}

/* What was made is not told to anybody; it is our unreaped child, so its number cannot mean anybody else. */
static void end_unwanted(struct process *process) {
	if (process->pid > 0)
		kill(process->pid, SIGKILL);
	process_forget_pid(process);
	process->known_pid = 0;
}

/* Its clients wait for the second try, unless nobody will be there to end them. */
static bool stays_reserved(const struct process *process, const struct start_failure *failure) {
	bool is_asked_again = process != process_main() && (process->flags & EXEC_AGAIN) != 0;
	bool is_busy = failure->operation && failure->operation->error == EBUSY;
	return is_asked_again && is_busy && process_main()->state == PROCESS_RUNNING;
}

static void fail(struct process *process, int status, const struct start_failure *failure) {
	end_unwanted(process);
	process->pinned = true;
	process->state = stays_reserved(process, failure) ? PROCESS_NEW : PROCESS_FAILED;
	process->ending = true;
	process->exit_code = status;
	process->exited_ns = wall_clock_ns();
	if (process == process_main()) {
		inherited_drop_ports();
		record_exit(process);
	}
	listener->failed(process, status, failure);
	stdio_close(process);
	starter_close(process);
	if (process->console_name[0])
		unlink(process->console_name);
	attach_progress(process);
	if (process == process_main())
		process_each(end_reserved);
	process->ending = false;
	process->pinned = false;
	process_settle(process);
}

static struct start_failure failure_at(int error, const char *step) {
	struct start_failure failure = {.error = error};
	snprintf(failure.step, sizeof(failure.step), "%s", step);
	return failure;
}

void exit_failed_start(struct process *process, int error, const char *step) {
	struct start_failure failure = failure_at(error, step);
	fail(process, 127, &failure);
}

static void started(struct process *process) {
	process->started_ns = wall_clock_ns();
	process->state = PROCESS_RUNNING;
	if (process == process_main())
		record_init(process);
	listener->started(process);
	if (process == process_main())
		oom_watch();
	stdio_watch(process);
	if (process->close_stdin)
		stdin_close(process);
	attach_progress(process);
}

/* The OCI runtime has done its part: the number is in its file, the terminal at our socket. */
static void runtime_succeeded(struct process *process) {
	pid_t pid = record_read_pid(process->pid_file);
	int error = 0;
	if (process->terminal) {
		loop_want(&process->err, 0);
		close(process->err.fd);
		process->err.fd = -1;
		error = console_take(process);
	}
	process->pid = process->known_pid = pid;
	if (pid == 0 || error) {
		struct start_failure failure = failure_at(error ? error : EINVAL, error ? "console" : "pid file");
		fail(process, 0, &failure);
		return;
	}
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	process->start_time = record_start_time(pid);
	started(process);
}

static void runtime_ended(struct process *process, int status) {
	struct child_error said;
	struct start_failure failure = {0};
	if (read(process->error_fd, &said, sizeof(said)) == sizeof(said)) {
		said.step[sizeof(said.step) - 1] = 0;
		failure = failure_at(said.error, said.step);
	}
	close(process->error_fd);
	process->error_fd = -1;
	if (status == 0)
		runtime_succeeded(process);
	else
		fail(process, exit_code(status), &failure);
}

static void process_ended(struct process *process, int status);

static void starter_ended(struct process *process, int status) {
	starter_collect(process);
	const struct launch_failure *operation = starter_failure(process);
	bool no_terminal = process->terminal && process->out.fd < 0;
	if (status == 0 && !operation && process->known_pid > 0 && !no_terminal) {
		starter_close(process);
		started(process);
		if (process->ended_early)
			process_ended(process, process->early_status);
		return;
	}
	struct start_failure failure = {.operation = operation};
	if (!operation)
		failure = failure_at(status == 0 ? EPROTO : ECHILD, no_terminal && status == 0 ? "terminal" : "starter");
	fail(process, exit_code(status), &failure);
}

static void process_ended(struct process *process, int status) {
	process->exited_ns = wall_clock_ns();
	process_forget_pid(process);
	process->exit_code = exit_code(status);
	process->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	process->pinned = true;
	process->state = PROCESS_ENDED;
	process->ending = true;
	stdio_drain(process);
	if (process == process_main()) {
		inherited_drop_ports();
		process->oom_killed = oom_check() > 0;
		record_exit(process);
	} else {
		record_exec(process);
	}
	listener->ended(process);
	if (process == process_main())
		process_each(end_reserved);
	process->ending = false;
	process->pinned = false;
	process_settle(process);
}

static void reap_runtime(struct process *process) {
	int status;
	if (process->runtime_pid <= 0 || waitpid(process->runtime_pid, &status, WNOHANG) <= 0)
		return;
	process->runtime_pid = 0;
	if (process->by_plan)
		starter_ended(process, status);
	else
		runtime_ended(process, status);
}

/* Its end is not told before its start. */
static void note_end(struct process *process, int status) {
	if (process->state != PROCESS_STARTING) {
		process_ended(process, status);
		return;
	}
	process_forget_pid(process);
	process->ended_early = true;
	process->early_status = status;
}

/*
 * crun's first process ends before the one that is the container's parent: what is there, alive or as a
 * zombie, will be ours when that one has ended, too.
 */
static bool will_be_ours(const struct process *process) {
	return process->pidfd >= 0 && syscall(SYS_pidfd_send_signal, process->pidfd, 0, NULL, 0) == 0;
}

static void reap_process(struct process *process) {
	int status;
	if (process->pid <= 0)
		return;
	pid_t reaped = waitpid(process->pid, &status, WNOHANG);
	if (reaped > 0)
		note_end(process, status);
	else if (reaped < 0 && errno == ECHILD && !will_be_ours(process))
		note_end(process, LOST_STATUS);
}

/*
 * A process may end before its runtime or starter has said its number, which may be the second one that a
 * starter says. As long as such a one is expected,
 * only known children are reaped; the others stay zombies, and nothing has to be remembered about them.
 * Otherwise every child is reaped: an unreaped one would keep the container's PID namespace, and with it the
 * end of its init, waiting.
 */
void exit_collect(void) {
	process_each(reap_runtime);
	process_each(starter_collect);
	process_each(reap_process);
	while (!process_expected()) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			return;
		struct process *process = process_by_pid(pid);
		if (process && process->runtime_pid == pid) {
			process->runtime_pid = 0;
			starter_ended(process, status);
		} else if (process) {
			note_end(process, status);
		}
	}
}
