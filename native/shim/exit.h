/* Ends: of runtime calls, of processes, of the shim. */
#pragma once

struct process;
struct launch_failure;

/* Why a process could not be started; error 0: the OCI runtime says it in its log. */
struct start_failure {
	int error;
	char step[32];
	const struct launch_failure *operation; /* of a launch plan, else NULL */
};

/* Who hears of it. */
struct exit_listener {
	void (*started)(struct process *process);
	/* `status` is the runtime's exit status; `failure` has error 0 when the runtime itself failed. */
	void (*failed)(struct process *process, int status, const struct start_failure *failure);
	void (*ended)(const struct process *process);
};

void exit_listen(const struct exit_listener *listener);

/* SIGCHLD has come. */
void exit_collect(void);
/* Nothing was run. */
void exit_failed_start(struct process *process, int error, const char *step);
