/* Job: open, copy trees, write what the kernel reads from files. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "kernel.h"
#include "launcher.h"
#include "resolve.h"

#define MAX_INHERITED_BYTES 4096
#define IN_IMAGE (RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)
#define PROC_ONLY (RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS)

/* Fields are taken by their numbers in the generated header. */
static const struct value *field(const struct operation *operation, int number) {
	return &operation->fields[number];
}

/* A host path as it is; below a slot inside of that slot's directory. */
static int open_at(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
	if (at != AT_FDCWD)
		resolve |= RESOLVE_NO_MAGICLINKS | (resolve & RESOLVE_BENEATH ? 0 : RESOLVE_IN_ROOT);
	return resolve_with(at, path, flags, mode, resolve);
}

int op_open(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(field(operation, OPEN_PATH));
	int at = launch_place(launch, field(operation, OPEN_AT));
	if (at == -1)
		return -1;
	int fd = open_at(at, path, field(operation, OPEN_FLAGS)->number, field(operation, OPEN_MODE)->number,
		field(operation, OPEN_RESOLVE)->number);
	if (fd < 0)
		return launch_fail(launch, "openat2", path);
	return launch_keep(launch, field(operation, OPEN_SLOT), fd);
}

int op_close(struct launch *launch, const struct operation *operation) {
	if (launch_slot(launch, field(operation, CLOSE_SLOT)) < 0)
		return -1;
	return launch_keep(launch, field(operation, CLOSE_SLOT), -1);
}

int op_open_tree(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(field(operation, OPEN_TREE_PATH));
	unsigned flags = OPEN_TREE_CLONE | (field(operation, OPEN_TREE_RECURSIVE)->number ? AT_RECURSIVE : 0);
	int at = launch_place(launch, field(operation, OPEN_TREE_AT));
	if (at == -1)
		return -1;
	int tree = -1;
	if (at == AT_FDCWD)
		tree = kernel_open_tree(AT_FDCWD, path, flags);
	else if (*path == 0)
		tree = kernel_open_tree(at, "", flags | AT_EMPTY_PATH);
	else {
		int source = resolve_in_root(at, path, O_PATH);
		if (source < 0)
			return launch_fail(launch, "openat2", path);
		tree = kernel_open_tree(source, "", flags | AT_EMPTY_PATH);
		int error = errno;
		close(source);
		errno = error;
	}
	if (tree < 0)
		return launch_fail(launch, "open_tree", path);
	return launch_keep(launch, field(operation, OPEN_TREE_SLOT), tree);
}

static int check_magic(struct launch *launch, int fd, uint64_t magic, const char *object) {
	struct statfs status;
	if (fstatfs(fd, &status) < 0)
		return launch_fail(launch, "fstatfs", object);
	/* Some architectures keep the number in a signed word. */
	if ((uint32_t)status.f_type != (uint32_t)magic)
		return launch_fail_with(launch, EPERM, "file system", object);
	return 0;
}

static int tree_here(struct launch *launch, const char *path, uint64_t magic) {
	int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return launch_fail(launch, "open", "/");
	int source = resolve_with(root, path, O_PATH, 0, IN_IMAGE | RESOLVE_NO_SYMLINKS);
	close(root);
	if (source < 0)
		return launch_fail(launch, "openat2", path);
	int tree = -1;
	if (check_magic(launch, source, magic, path) == 0) {
		tree = kernel_open_tree(source, "", OPEN_TREE_CLONE | AT_EMPTY_PATH);
		if (tree < 0)
			launch_fail(launch, "open_tree", path);
	}
	close(source);
	return tree;
}

int op_tree_of_namespace(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(field(operation, TREE_OF_NAMESPACE_PATH));
	int namespace = launch_slot(launch, field(operation, TREE_OF_NAMESPACE_NAMESPACE));
	int own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), here = open(".", O_PATH | O_CLOEXEC), tree = -1;
	if (namespace < 0)
		goto end;
	if (own < 0 || here < 0) {
		launch_fail(launch, "open", "/proc/self/ns/mnt");
		goto end;
	}
	if (setns(namespace, CLONE_NEWNS) < 0) {
		launch_fail(launch, "setns", path);
		goto end;
	}
	tree = tree_here(launch, path, field(operation, TREE_OF_NAMESPACE_MAGIC)->number);
	/* Nothing may go on in a namespace that is somebody else's. */
	if (setns(own, CLONE_NEWNS) < 0 || fchdir(here) < 0)
		_exit(1);
end:
	close(own);
	close(here);
	return tree < 0 ? -1 : launch_keep(launch, field(operation, TREE_OF_NAMESPACE_SLOT), tree);
}

/* All of it by one call, as files of the kernel want it; closes `fd` unless it is the slot's own. */
static int write_whole(struct launch *launch, int fd, const struct value *value, const char *object) {
	ssize_t written = write(fd, value->bytes, value->length);
	if (written < 0)
		return launch_fail(launch, "write", object);
	if ((size_t)written != value->length)
		return launch_fail_with(launch, EIO, "write", object);
	return 0;
}

int op_write_file(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(field(operation, WRITE_FILE_PATH));
	const struct value *value = field(operation, WRITE_FILE_VALUE);
	int at = launch_place(launch, field(operation, WRITE_FILE_AT));
	if (at == -1)
		return -1;
	if (*path == 0)
		return write_whole(launch, at, value, path);
	int fd = open_at(at, path, O_WRONLY | O_NOCTTY, 0, 0);
	if (fd < 0)
		return launch_fail(launch, "openat2", path);
	int result = write_whole(launch, fd, value, path);
	close(fd);
	return result;
}

int op_make_directory(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(field(operation, MAKE_DIRECTORY_PATH));
	mode_t mode = (mode_t)field(operation, MAKE_DIRECTORY_MODE)->number;
	int at = launch_place(launch, field(operation, MAKE_DIRECTORY_AT));
	if (at == -1)
		return -1;
	if (at == AT_FDCWD)
		return mkdir(path, mode) < 0 ? launch_fail(launch, "mkdir", path) : 0;
	const char *slash = strrchr(path, '/');
	char parent[MAX_INHERITED_BYTES];
	if (slash && (size_t)(slash - path) >= sizeof(parent))
		return launch_fail_with(launch, ENAMETOOLONG, "mkdirat", path);
	size_t length = slash ? (size_t)(slash - path) : 0;
	memcpy(parent, path, length);
	parent[length] = 0;
	int directory = resolve_in_root(at, parent, O_PATH | O_DIRECTORY);
	if (directory < 0)
		return launch_fail(launch, "openat2", path);
	int result = mkdirat(directory, slash ? slash + 1 : path, mode);
	if (result < 0)
		launch_fail(launch, "mkdirat", path);
	close(directory);
	return result;
}

/* Length of the file's content without the line's end; -1 with errno. */
static ssize_t read_name(int directory, const char *name, char *into) {
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t length = read(fd, into, MAX_INHERITED_BYTES - 1);
	close(fd);
	while (length > 0 && into[length - 1] == '\n')
		length--;
	return length;
}

/* `length` bytes of the parent's content go to the child if it has none; then they are its content. */
static ssize_t inherit(int directory, const char *name, char *content, ssize_t length) {
	char own[MAX_INHERITED_BYTES];
	ssize_t have = read_name(directory, name, own);
	if (have != 0) {
		if (have > 0)
			memcpy(content, own, (size_t)have);
		return have;
	}
	int fd = openat(directory, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t written = write(fd, content, (size_t)length);
	close(fd);
	return written < 0 ? -1 : length;
}

int op_inherit_file(struct launch *launch, const struct operation *operation) {
	const char *top = text_of(field(operation, INHERIT_FILE_TOP));
	const char *path = text_of(field(operation, INHERIT_FILE_PATH));
	const char *name = text_of(field(operation, INHERIT_FILE_NAME));
	char content[MAX_INHERITED_BYTES], part[256];
	size_t prefix = strlen(top);
	if (strncmp(path, top, prefix) == 0)
		path += prefix;
	int at = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return launch_fail(launch, "open", top);
	ssize_t length = read_name(at, name, content);
	while (length >= 0 && *(path += strspn(path, "/"))) {
		size_t size = strcspn(path, "/");
		snprintf(part, sizeof(part), "%.*s", (int)size, path);
		path += size;
		int next = openat(at, part, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(at);
		at = next;
		length = at < 0 ? -1 : inherit(at, name, content, length);
	}
	int error = errno;
	if (at >= 0)
		close(at);
	return length < 0 ? launch_fail_with(launch, error, "inherit", name) : 0;
}

/* Only a true file of that procfs, by no link and no mount over it. */
static int write_proc(struct launch *launch, int proc, const char *path, const struct value *value) {
	int fd = resolve_with(proc, path, O_WRONLY | O_NOCTTY, 0, PROC_ONLY);
	if (fd < 0)
		return launch_fail(launch, "openat2", path);
	int result = check_magic(launch, fd, PROC_MAGIC, path);
	if (result == 0)
		result = write_whole(launch, fd, value, path);
	close(fd);
	return result;
}

int op_write_proc(struct launch *launch, const struct operation *operation) {
	int proc = launch_slot(launch, field(operation, WRITE_PROC_PROC));
	if (proc < 0)
		return -1;
	return write_proc(launch, proc, text_of(field(operation, WRITE_PROC_PATH)),
		field(operation, WRITE_PROC_VALUE));
}

/* Our number in that procfs, which may belong to another namespace of processes than getpid does. */
int op_write_proc_self(struct launch *launch, const struct operation *operation) {
	const char *name = text_of(field(operation, WRITE_PROC_SELF_NAME));
	char self[16], path[512];
	int proc = launch_slot(launch, field(operation, WRITE_PROC_SELF_PROC));
	if (proc < 0 || check_magic(launch, proc, PROC_MAGIC, name) < 0)
		return -1;
	ssize_t length = readlinkat(proc, "self", self, sizeof(self) - 1);
	if (length < 0)
		return launch_fail(launch, "readlinkat", "self");
	if (snprintf(path, sizeof(path), "%.*s/%s", (int)length, self, name) >= (int)sizeof(path))
		return launch_fail_with(launch, ENAMETOOLONG, "openat2", name);
	return write_proc(launch, proc, path, field(operation, WRITE_PROC_SELF_VALUE));
}
