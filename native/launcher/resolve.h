/*
 * Paths of an image are resolved inside of its root, by descriptor, never as a string of the whole system.
 * Every function returns a close-on-exec descriptor, or -1 with errno.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define RESOLVE_IN_IMAGE (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)

/* RESOLVE_IN_IMAGE; a leading slash means nothing. */
int resolve_in_root(int root, const char *path, uint64_t flags);

/* openat2 with flags of its own for the resolution; asked again when a rename came in between. */
int resolve_with(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/*
 * mkdir -p of mode 0755, component by component below descriptors; links (dangling ones, too) are followed
 * inside of the root only. Gives O_PATH | O_DIRECTORY.
 */
int make_path_in_root(int root, const char *path);

/* The same for what is known to be missing; `file`: the last name is one, of mode 0755. Gives O_PATH. */
int make_missing_in_root(int root, const char *path, bool file);

/*
 * The last component goes to `name` (room for NAME_MAX + 1 bytes), what is before it to `parent` (PATH_MAX).
 * 0, or -1 with errno when there is none, or it is too long.
 */
int split_path(const char *path, char *parent, char *name);

/* The directories on the way to the last component, which is neither made nor followed. Gives the parent. */
int make_parent_in_root(int root, const char *path, char *name);

/* Leaves errno as it is; -1 is nothing. */
void close_kept(int fd);

bool is_device(int fd, unsigned major, unsigned minor);
/* The number of the file system; 0: it cannot be told. */
uint32_t system_of(int fd);
