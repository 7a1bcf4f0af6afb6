/* Job: reap. The runtime's exit decides about a start; a process's exit is recorded, told, and kept. */
#define _GNU_SOURCE
#include "exit.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach.h"
#include "clock.h"
#include "console.h"
#include "oom.h"
#include "process.h"
#include "record.h"
#include "runtime.h"
#include "stdio-streams.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
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

static void fail(struct process *process, int status, const struct child_error *failure) {
	process->pinned = true;
	process->state = PROCESS_FAILED;
	process->ending = true;
	process->exit_code = status;
	process->exited_ns = wall_clock_ns();
	if (process == process_main()) {
		runtime_drop_ports();
		record_exit(process);
	}
	listener->failed(process, status, failure);
	stdio_close(process);
	if (process->console_name[0])
		unlink(process->console_name);
	attach_progress(process);
	if (process == process_main())
		process_each(end_reserved);
	process->ending = false;
	process->pinned = false;
	process_settle(process);
}

void exit_failed_start(struct process *process, int error, const char *step) {
	struct child_error failure = {.error = error};
	snprintf(failure.step, sizeof(failure.step), "%s", step);
	fail(process, 127, &failure);
}

/* The process is our unreaped child, so its number cannot mean anybody else. */
static void give_up(struct process *process, pid_t pid, int error, const char *step) {
	struct child_error failure = {.error = error};
	snprintf(failure.step, sizeof(failure.step), "%s", step);
	if (pid > 0)
		kill(pid, SIGKILL);
	fail(process, 0, &failure);
}

static void started(struct process *process) {
	pid_t pid = record_read_pid(process->pid_file);
	int error = 0;
	if (process->terminal) {
		loop_want(&process->err, 0);
		close(process->err.fd);
		process->err.fd = -1;
		error = console_take(process);
	}
	if (pid == 0 || error) {
		give_up(process, pid, error ? error : EINVAL, error ? "console" : "pid file");
		return;
	}
	process->pid = process->known_pid = pid;
	process->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	process->start_time = record_start_time(pid);
	process->started_ns = wall_clock_ns();
	process->state = PROCESS_RUNNING;
	if (process == process_main()) {
		record_init(process);
		oom_watch();
	}
	listener->started(process);
	stdio_watch(process);
	if (process->close_stdin)
		stdin_close(process);
	attach_progress(process);
}

static void runtime_ended(struct process *process, int status) {
	struct child_error failure = {0};
	process->runtime_pid = 0;
	if (read(process->error_fd, &failure, sizeof(failure)) != sizeof(failure))
		failure.error = 0;
	failure.step[sizeof(failure.step) - 1] = 0;
	close(process->error_fd);
	process->error_fd = -1;
	if (status == 0)
		started(process);
	else
		fail(process, exit_code(status), &failure);
}

static void process_ended(struct process *process, int status) {
	process->exited_ns = wall_clock_ns();
	process->pid = 0;
	process->exit_code = exit_code(status);
	process->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	if (process->pidfd >= 0)
		close(process->pidfd);
	process->pidfd = -1;
	process->pinned = true;
	process->state = PROCESS_ENDED;
	process->ending = true;
	stdio_drain(process);
	if (process == process_main()) {
		runtime_drop_ports();
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
	if (process->runtime_pid > 0 && waitpid(process->runtime_pid, &status, WNOHANG) > 0)
		runtime_ended(process, status);
}

static void reap_process(struct process *process) {
	int status;
	if (process->pid <= 0)
		return;
	pid_t reaped = waitpid(process->pid, &status, WNOHANG);
	if (reaped > 0)
		process_ended(process, status);
	else if (reaped < 0 && errno == ECHILD)
		process_ended(process, LOST_STATUS);
}

/*
 * A process may end before the runtime has said its number. So while a runtime is at work only known children
 * are reaped; the others stay zombies, and nothing has to be remembered about them. Otherwise every child is
 * reaped: an unreaped one would keep the container's PID namespace, and with it the end of its init, waiting.
 */
void exit_collect(void) {
	process_each(reap_runtime);
	process_each(reap_process);
	while (!process_runtime_at_work()) {
		int status;
		pid_t pid = waitpid(-1, &status, WNOHANG);
		if (pid <= 0)
			return;
		struct process *process = process_by_pid(pid);
		if (process && process->pid == pid)
			process_ended(process, status);
	}
}
