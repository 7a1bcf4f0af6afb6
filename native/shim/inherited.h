/* What the spawner and the daemon handed over. */
#pragma once
#include "frame.h"

/* Once, at the beginning: what the children get back. */
void inherited_remember_oom_score(void);
void inherited_restore_oom_score(void);
/*
 * Once, before any other descriptor is opened: takes over those that were inherited. `name` is an argument
 * with room for an id: what the list of processes shows.
 */
void inherited_hold(char *name);
/*
 * Once, when it is known which container this shim is for: its directory, and the descriptors that wait on
 * the socket for them. 0 or an errno, with `*step` then.
 */
int inherited_assign(const struct frame *frame, const char **step);
bool inherited_is_assigned(void);
/* The ports are free again before anybody hears of the end. */
void inherited_drop_ports(void);
void inherited_drop_rootfs(void);
/* -1: none. */
int inherited_rootfs(void);
int inherited_netns(void);
/* Held from now on. 0 or an errno. */
int inherited_take_netns(const char *path);
