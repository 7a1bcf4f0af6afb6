/* Job: device nodes, links and directories in the root. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "kernel.h"
#include "launcher.h"
#include "resolve.h"

#define NAME_BYTES (NAME_MAX + 1)

/* What stands in the place already is taken when it is the same node. */
static int create_node(int parent, const char *name, mode_t mode, dev_t device) {
	mode_t mask = umask(0);
	int result = mknodat(parent, name, mode, device);
	int error = errno;
	umask(mask);
	struct stat status;
	if (result < 0 && error == EEXIST && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
		(status.st_mode & S_IFMT) == (mode & S_IFMT) && (S_ISFIFO(mode) || status.st_rdev == device))
		return 0;
	errno = error;
	return result;
}

/* By a descriptor that surely is what was made. */
static int own_node(int parent, const char *name, uid_t uid, gid_t gid) {
	struct stat status;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = fstat(fd, &status);
	if (result == 0 && (status.st_uid != uid || status.st_gid != gid))
		result = S_ISLNK(status.st_mode) ? (errno = ELOOP, -1) : fchownat(fd, "", uid, gid, AT_EMPTY_PATH);
	int error = errno;
	close(fd);
	errno = error;
	return result;
}

int op_make_node(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	const char *path = text_of(&fields[MAKE_NODE_PATH]);
	int root = launch_slot(launch, &fields[MAKE_NODE_ROOT]);
	if (root < 0)
		return -1;
	char name[NAME_BYTES];
	int parent = make_parent_in_root(root, path, name);
	if (parent < 0)
		return launch_fail(launch, "openat2", path);
	dev_t device = makedev((unsigned)fields[MAKE_NODE_MAJOR].number, (unsigned)fields[MAKE_NODE_MINOR].number);
	uid_t uid = (uid_t)fields[MAKE_NODE_UID].number;
	gid_t gid = (gid_t)fields[MAKE_NODE_GID].number;
	int result = 0;
	if (create_node(parent, name, (mode_t)fields[MAKE_NODE_MODE].number, device) < 0)
		result = launch_fail(launch, "mknodat", path);
	else if (own_node(parent, name, uid, gid) < 0)
		result = launch_fail(launch, "fchownat", path);
	close(parent);
	return result;
}

int op_make_link(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[MAKE_LINK_PATH]);
	const char *target = text_of(&operation->fields[MAKE_LINK_TARGET]);
	int root = launch_slot(launch, &operation->fields[MAKE_LINK_ROOT]);
	if (root < 0)
		return -1;
	char name[NAME_BYTES];
	int parent = make_parent_in_root(root, path, name);
	if (parent < 0)
		return launch_fail(launch, "openat2", path);
	int result = symlinkat(target, parent, name) < 0 ? launch_fail(launch, "symlinkat", path) : 0;
	close(parent);
	return result;
}

int op_change_owner(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	const char *path = text_of(&fields[CHANGE_OWNER_PATH]);
	uid_t uid = (uid_t)fields[CHANGE_OWNER_UID].number;
	gid_t gid = (gid_t)fields[CHANGE_OWNER_GID].number;
	int at = launch_place(launch, &fields[CHANGE_OWNER_AT]), place = at;
	if (at == -1)
		return -1;
	bool inside = at != AT_FDCWD && path[0];
	if (inside && (place = resolve_in_root(at, path, O_PATH | O_NOFOLLOW)) < 0)
		return launch_fail(launch, "openat2", path);
	const char *rest = at == AT_FDCWD ? path : "";
	int result = fchownat(place, rest, uid, gid, AT_SYMLINK_NOFOLLOW | (*rest ? 0 : AT_EMPTY_PATH));
	if (result < 0)
		launch_fail(launch, "fchownat", path);
	if (inside)
		close(place);
	return result;
}

int op_make_path(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[MAKE_PATH_PATH]);
	int root = launch_slot(launch, &operation->fields[MAKE_PATH_ROOT]);
	if (root < 0)
		return -1;
	int directory = make_path_in_root(root, path, 0755);
	if (directory < 0)
		return launch_fail(launch, "mkdirat", path);
	close(directory);
	return 0;
}
