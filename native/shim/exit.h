/* Ends: of runtime calls, of processes, of the shim. */
#pragma once
#include "frame.h"

struct process;

/* SIGCHLD has come. */
void exit_collect(void);
/* The shim itself could not run the runtime. */
void exit_failed_start(struct process *process, int error, const char *step);
