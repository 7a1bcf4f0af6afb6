/*
 * The first process of a container that was started with `--init`: starts the command as its only child,
 * hands signals on to it, reaps whatever else ends below it, and ends as the command ended.
 *
 *   docker-init -- command [argument…]
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIGNALLED = 128, NOT_EXECUTABLE = 126, NOT_FOUND = 127, FAILED = 1 };

static int fail(const char *what, int status) {
	fprintf(stderr, "docker-init: %s: %s\n", what, strerror(errno));
	return status;
}

/* A shell takes the terminal only if its process group owns it. */
static void own_terminal(void) {
	signal(SIGTTOU, SIG_IGN);
	setpgid(0, 0);
	tcsetpgrp(STDIN_FILENO, getpgrp());
	signal(SIGTTOU, SIG_DFL);
}

static int run_child(char **command, const sigset_t *before) {
	own_terminal();
	sigprocmask(SIG_SETMASK, before, NULL);
	execvp(command[0], command);
	return fail(command[0], errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE);
}

static int status_of(int status) {
	return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
}

/* Returns the command's status once it ended, -1 before. */
static int reap(pid_t child) {
	int result = -1, status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == child)
			result = status_of(status);
	return result;
}

/* Faults are this program's own; everything else is meant for the command. */
static void blocked_signals(sigset_t *set) {
	static const int own[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU};
	sigfillset(set);
	for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
		sigdelset(set, own[i]);
}

int main(int argc, char **argv) {
	char **command = argv + 1;
	if (argc > 1 && strcmp(command[0], "--") == 0)
		command++;
	if (*command == NULL) {
		fprintf(stderr, "usage: docker-init -- command [argument...]\n");
		return FAILED;
	}
	sigset_t waited, before;
	blocked_signals(&waited);
	sigprocmask(SIG_BLOCK, &waited, &before);
	pid_t child = fork();
	if (child < 0)
		return fail("fork", FAILED);
	if (child == 0)
		return run_child(command, &before);
	/* The terminal belongs to the command's group now: reading or writing to it must not stop this process. */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
	for (;;) {
		int received = sigwaitinfo(&waited, NULL);
		if (received < 0)
			continue;
		if (received != SIGCHLD) {
			kill(child, received);
			continue;
		}
		int status = reap(child);
		if (status >= 0)
			return status;
	}
}
