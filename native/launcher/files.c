/* Job: open, copy trees, write what the kernel reads from files. */
#include "launcher.h"

#define PROC_ONLY (RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS)

/* A host path as it is; below a slot inside of that slot's directory. */
static int open_at(struct launch *launch, const struct value *at, const char *path,
	const struct kernel_open_how *how) {
	uint64_t resolve = how->resolve;
	if (at->fd != AT_FDCWD)
		resolve |= RESOLVE_NO_MAGICLINKS | (resolve & RESOLVE_BENEATH ? 0 : RESOLVE_IN_ROOT);
	return launch_check(launch, resolve_with(at->fd, path, how->flags, how->mode, resolve), "openat2", path);
}

int op_open(struct launch *launch, const struct value *fields) {
	struct kernel_open_how how = {
		.flags = fields[OPEN_FLAGS].number,
		.mode = fields[OPEN_MODE].number,
		.resolve = fields[OPEN_RESOLVE].number,
	};
	int fd = open_at(launch, &fields[OPEN_AT], fields[OPEN_PATH].text, &how);
	return launch_keep(launch, &fields[OPEN_SLOT], fd);
}

int op_close(struct launch *launch, const struct value *fields) {
	close(fields[CLOSE_SLOT].fd);
	launch->slots[fields[CLOSE_SLOT].number] = -1;
	return 0;
}

int op_open_tree(struct launch *launch, const struct value *fields) {
	const struct value *path = &fields[OPEN_TREE_PATH];
	unsigned flags = AT_EMPTY_PATH | (fields[OPEN_TREE_RECURSIVE].number ? KERNEL_AT_RECURSIVE : 0);
	struct place place = launch_place(launch, &fields[OPEN_TREE_AT], path, O_PATH);
	if (place.fd == -1)
		return -1;
	int tree = launch_check(launch, kernel_open_tree(place.fd, place.path, flags), "open_tree", path->text);
	place_close(&place);
	return launch_keep(launch, &fields[OPEN_TREE_SLOT], tree);
}

static int check_system(struct launch *launch, int fd, uint64_t magic, const char *object) {
	return system_of(fd) == magic ? 0 : launch_fail_with(launch, EPERM, "file system", object);
}

static int tree_here(struct launch *launch, const char *path, uint64_t magic) {
	int source = resolve_with(AT_FDCWD, path, O_PATH, 0, RESOLVE_NO_SYMLINKS);
	if (source < 0)
		return launch_fail(launch, "openat2", path);
	int tree = -1;
	if (check_system(launch, source, magic, path) == 0)
		tree = launch_check(launch, kernel_open_tree(source, "", AT_EMPTY_PATH), "open_tree", path);
	close(source);
	return tree;
}

int op_tree_of_namespace(struct launch *launch, const struct value *fields) {
	const char *path = fields[TREE_OF_NAMESPACE_PATH].text;
	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), here = open(".", O_PATH | O_CLOEXEC), tree = -1;
	if (own < 0 || here < 0)
		launch_fail(launch, "open", "/proc/self/ns/mnt");
	else if (setns(fields[TREE_OF_NAMESPACE_NAMESPACE].fd, CLONE_NEWNS) < 0)
		launch_fail(launch, "setns", path);
	else {
		tree = tree_here(launch, path, fields[TREE_OF_NAMESPACE_MAGIC].number);
		/* Nothing may go on in a namespace that is somebody else's. */
		if (setns(own, CLONE_NEWNS) < 0 || fchdir(here) < 0)
			_exit(1);
	}
	close_kept(own);
	close_kept(here);
	return launch_keep(launch, &fields[TREE_OF_NAMESPACE_SLOT], tree);
}

int op_write_file(struct launch *launch, const struct value *fields) {
	static const struct kernel_open_how how = {.flags = O_WRONLY | O_NOCTTY};
	const struct value *at = &fields[WRITE_FILE_AT], *path = &fields[WRITE_FILE_PATH];
	if (path->length == 0)
		return launch_write(launch, at->fd, &fields[WRITE_FILE_VALUE], "");
	int fd = open_at(launch, at, path->text, &how);
	if (fd < 0)
		return -1;
	int result = launch_write(launch, fd, &fields[WRITE_FILE_VALUE], path->text);
	close(fd);
	return result;
}

/* Only a true file of that procfs, with no mount over it. */
static int write_proc(struct launch *launch, int proc, const char *path, uint64_t resolve,
	const struct value *value) {
	int fd = resolve_with(proc, path, O_WRONLY | O_NOCTTY, 0, PROC_ONLY | resolve);
	if (fd < 0)
		return launch_fail(launch, "openat2", path);
	int result = check_system(launch, fd, PROC_MAGIC, path);
	if (result == 0)
		result = launch_write(launch, fd, value, path);
	close(fd);
	return result;
}

int op_write_proc(struct launch *launch, const struct value *fields) {
	int proc = fields[WRITE_PROC_PROC].fd;
	const char *path = fields[WRITE_PROC_PATH].text;
	return write_proc(launch, proc, path, RESOLVE_NO_SYMLINKS, &fields[WRITE_PROC_VALUE]);
}

/* "self" is our number in that procfs: it may belong to another namespace of processes than getpid does. */
static int write_self(struct launch *launch, int proc, const char *name, const struct value *value) {
	char path[512];
	if (check_system(launch, proc, PROC_MAGIC, "/proc") < 0)
		return -1;
	if (snprintf(path, sizeof(path), "self/%s", name) >= (int)sizeof(path))
		return launch_fail_with(launch, ENAMETOOLONG, "openat2", name);
	return write_proc(launch, proc, path, 0, value);
}

int op_write_proc_self(struct launch *launch, const struct value *fields) {
	int proc = fields[WRITE_PROC_SELF_PROC].fd;
	return write_self(launch, proc, fields[WRITE_PROC_SELF_NAME].text, &fields[WRITE_PROC_SELF_VALUE]);
}

/* The /proc of whoever runs this may be a container's: only a real procfs without anything on top will do. */
int op_oom_score(struct launch *launch, const struct value *fields) {
	char text[24];
	int length = snprintf(text, sizeof(text), "%lld", (long long)fields[OOM_SCORE_VALUE].number);
	struct value value = {.text = text, .length = (uint32_t)length};
	int proc = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (proc < 0)
		return launch_fail(launch, "open", "/proc");
	int result = write_self(launch, proc, "oom_score_adj", &value);
	close(proc);
	return result;
}
