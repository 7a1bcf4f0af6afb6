/* Job: device nodes, links, directories and their owners in the root. */
#include "launcher.h"

#include <sys/sysmacros.h>

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
	int result = fd < 0 ? -1 : fstat(fd, &status);
	if (result == 0 && ((status.st_mode ^ node->mode) & S_IFMT || status.st_rdev != node->device)) {
		errno = EEXIST;
		result = -1;
	} else if (result == 0 && made && (status.st_uid != node->uid || status.st_gid != node->gid))
		result = fchownat(fd, "", node->uid, node->gid, AT_EMPTY_PATH);
	close_kept(fd);
	return result;
}

/* The same node in its place already is as good, and stays as it is. */
static int create_node(int parent, const char *name, const struct node *node) {
	mode_t mask = umask(0);
	bool made = mknodat(parent, name, node->mode, node->device) == 0;
	umask(mask); /* does not touch errno */
	return made || errno == EEXIST ? own_node(parent, name, node, made) : -1;
}

int op_make_node(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_NODE_PATH].text;
	char name[NAME_MAX + 1];
	int parent = make_parent_in_root(fields[MAKE_NODE_ROOT].fd, path, name);
	if (parent < 0)
		return launch_fail(launch, "openat2", path);
	mode_t mode = (mode_t)fields[MAKE_NODE_MODE].number;
	unsigned major = (unsigned)fields[MAKE_NODE_MAJOR].number;
	unsigned minor = (unsigned)fields[MAKE_NODE_MINOR].number;
	struct node node = {
		.mode = mode,
		.device = S_ISFIFO(mode) ? 0 : makedev(major, minor),
		.uid = (uid_t)fields[MAKE_NODE_UID].number,
		.gid = (gid_t)fields[MAKE_NODE_GID].number,
	};
	int result = launch_check(launch, create_node(parent, name, &node), "mknodat", path);
	close(parent);
	return result;
}

int op_make_link(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_LINK_PATH].text;
	char name[NAME_MAX + 1];
	int parent = make_parent_in_root(fields[MAKE_LINK_ROOT].fd, path, name);
	if (parent < 0)
		return launch_fail(launch, "openat2", path);
	int made = symlinkat(fields[MAKE_LINK_TARGET].text, parent, name);
	int result = launch_check(launch, made, "symlinkat", path);
	close(parent);
	return result;
}

int op_change_owner(struct launch *launch, const struct value *fields) {
	const struct value *path = &fields[CHANGE_OWNER_PATH];
	uid_t uid = (uid_t)fields[CHANGE_OWNER_UID].number;
	gid_t gid = (gid_t)fields[CHANGE_OWNER_GID].number;
	struct place place = launch_place(launch, &fields[CHANGE_OWNER_AT], path, O_PATH | O_NOFOLLOW);
	if (place.fd == -1)
		return -1;
	int result = fchownat(place.fd, place.path, uid, gid, AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
	launch_check(launch, result, "fchownat", path->text);
	place_close(&place);
	return result;
}

int op_make_path(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_PATH_PATH].text;
	int made = make_path_in_root(fields[MAKE_PATH_ROOT].fd, path);
	int result = launch_check(launch, made, "mkdirat", path);
	close_kept(made);
	return result;
}
