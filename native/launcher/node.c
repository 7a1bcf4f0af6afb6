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

struct node {
	mode_t mode;
	dev_t device;
	uid_t uid;
	gid_t gid;
};

/* Who may write to the directory could have put something else there: looked at by descriptor. */
static int own_node(int parent, const char *name, const struct node *node, bool made) {
	struct stat status;
	int fd = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	int result = fstat(fd, &status), error = errno;
	if (result == 0 && ((status.st_mode ^ node->mode) & S_IFMT || status.st_rdev != node->device)) {
		result = -1;
		error = EEXIST;
	} else if (result == 0 && made && (status.st_uid != node->uid || status.st_gid != node->gid)) {
		result = fchownat(fd, "", node->uid, node->gid, AT_EMPTY_PATH);
		error = errno;
	}
	close(fd);
	errno = error;
	return result;
}

/* The same node in its place already is as good, and stays as it is. */
static int create_node(int parent, const char *name, const struct node *node) {
	mode_t mask = umask(0);
	bool made = mknodat(parent, name, node->mode, node->device) == 0;
	int error = errno;
	umask(mask);
	errno = error;
	return made || error == EEXIST ? own_node(parent, name, node, made) : -1;
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
	mode_t mode = (mode_t)fields[MAKE_NODE_MODE].number;
	dev_t device = makedev((unsigned)fields[MAKE_NODE_MAJOR].number, (unsigned)fields[MAKE_NODE_MINOR].number);
	struct node node = {
		.mode = mode,
		.device = S_ISFIFO(mode) ? 0 : device,
		.uid = (uid_t)fields[MAKE_NODE_UID].number,
		.gid = (gid_t)fields[MAKE_NODE_GID].number,
	};
	int result = create_node(parent, name, &node) < 0 ? launch_fail(launch, "mknodat", path) : 0;
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
