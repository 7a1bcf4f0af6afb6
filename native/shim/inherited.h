/* What the spawner handed over. */
#pragma once

/* Once, at the beginning: what the children get back. */
void inherited_remember_oom_score(void);
void inherited_restore_oom_score(void);
/*
 * Once, before any other descriptor is opened: takes over those that were inherited, the last of them `ports`
 * bound sockets and `connections` of clients.
 */
void inherited_hold(unsigned ports, unsigned connections);
void inherited_serve_connections(unsigned ports);
/* The ports are free again before anybody hears of the end. */
void inherited_drop_ports(void);
void inherited_drop_rootfs(void);
/* -1: none. */
int inherited_rootfs(void);
int inherited_netns(void);
/* One that was not there yet at the start of the shim; held from now on. 0 or an errno. */
int inherited_take_netns(const char *path);
