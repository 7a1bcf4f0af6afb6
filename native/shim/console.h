/* Terminals: the socket over which the OCI runtime hands the master, and its size. */
#pragma once

struct process;

/* 0 or an errno. */
int console_listen(struct process *process);
/* Takes the master if it has come; 0, or an errno when what came is no terminal. */
int console_take(struct process *process);
/* Takes over a master that came another way. 0, or an errno and the descriptor is closed. */
int console_adopt(struct process *process, int master);
/* 0 or an errno. */
int console_resize(struct process *process, unsigned width, unsigned height);
