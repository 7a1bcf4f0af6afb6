/*
 * Paths of an image are resolved inside of its root, by descriptor, never as a string of the whole system.
 * Every function returns a close-on-exec descriptor, or -1 with errno.
 */
#pragma once
#include <stdint.h>
#include <sys/types.h>

/* openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS); a leading slash means nothing. */
int resolve_in_root(int root, const char *path, uint64_t flags);

/* openat2 with flags of its own for the resolution; asked again when a rename came in between. */
int resolve_with(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);

/*
 * mkdir -p, component by component below descriptors; links (dangling ones, too) are followed inside of the
 * root only. Gives O_PATH | O_DIRECTORY.
 */
int make_path_in_root(int root, const char *path, mode_t mode);

/* The directories as above, then the file when nothing is there. Gives O_PATH of whatever is there. */
int make_file_in_root(int root, const char *path, mode_t mode);

/*
 * The directories on the way to the last component, which goes to `name` (room for 256 bytes); nothing is made
 * there and a link in its place is not followed. Gives the parent: O_PATH | O_DIRECTORY.
 */
int make_parent_in_root(int root, const char *path, char *name);
