/* Ends: of runtime calls, of processes, of the shim. */
#pragma once

struct process;
struct child_error;

/* Who hears of it. */
struct exit_listener {
	void (*started)(struct process *process);
	/* `status` is the runtime's exit status; `failure` has error 0 when the runtime itself failed. */
	void (*failed)(struct process *process, int status, const struct child_error *failure);
	void (*ended)(const struct process *process);
};

void exit_listen(const struct exit_listener *listener);

/* SIGCHLD has come. */
void exit_collect(void);
/* The shim itself could not run the runtime. */
void exit_failed_start(struct process *process, int error, const char *step);
