/*
 * The pair between starter and child. Messages of the child say how far it is; the end of file without a
 * failure is its successful execve.
 */
#pragma once
#include "launcher.h"

/* `pair[0]` is the starter's end. 0, or -1 with errno. */
int sync_open(int pair[2]);

int sync_tell(struct launch *launch, uint32_t point);
int sync_wait(struct launch *launch, uint32_t point);

/* In the child: to the starter, or, when that is done and gone, to standard error. */
void sync_failed(struct launch *launch);
/* About to give up the right to speak: false when the starter has died before it was done. */
bool sync_executing(struct launch *launch);
void sync_moved(struct launch *launch);
/* Blocks until `fd` is readable; ends the process when the starter dies before it is done. */
int sync_wait_readable(struct launch *launch, int fd);

/* In the starter. */
int sync_wait_executed(struct launch *launch);
/* The starter ends well, the child goes on alone. */
void sync_release(struct launch *launch);
/* Messages that have come already; true when one of them is the child's failure (now in `launch->failure`). */
bool sync_child_has_failed(struct launch *launch);
