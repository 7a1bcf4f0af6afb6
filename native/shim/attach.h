/* Attach clients: output to them, standard input from them. */
#pragma once

struct process;

/* Once, at the beginning. */
void attach_open(void);
/* Output, room on stdin or an end has come: everybody who is attached goes on. */
void attach_progress(struct process *process);
