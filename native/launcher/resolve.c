/* Job: paths inside of a root, resolved and made below descriptors. */
#define _GNU_SOURCE
#include "resolve.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel.h"

#define MAX_LINKS 40
#define MAX_RETRIES 64 /* of a resolution that a rename elsewhere made doubtful */

/* What has been resolved, as a path from the root and as a descriptor, and what is to come. */
struct walk {
	int root, at;
	char done[PATH_MAX]; /* "a/b", "" at the root */
	char rest[PATH_MAX];
	unsigned links;
};

int resolve_with(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
	struct kernel_open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
	int fd;
	int tries = 0;
	do
		fd = kernel_openat2(at, path, &how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < MAX_RETRIES);
	return fd;
}

int resolve_in_root(int root, const char *path, uint64_t flags) {
	return resolve_with(root, *path ? path : ".", flags, 0, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

static int use(struct walk *walk, int fd) {
	if (fd < 0)
		return -1;
	if (walk->at >= 0)
		close(walk->at);
	walk->at = fd;
	return 0;
}

static int walk_begin(struct walk *walk, int root, const char *path) {
	walk->root = root;
	walk->at = -1;
	walk->links = 0;
	walk->done[0] = 0;
	if (strlen(path) >= sizeof(walk->rest)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(walk->rest, path);
	return use(walk, resolve_in_root(root, ".", O_PATH | O_DIRECTORY));
}

/* The next component of what is to come, false at the end. */
static bool next_name(struct walk *walk, char *name) {
	const char *from = walk->rest + strspn(walk->rest, "/");
	size_t length = strcspn(from, "/");
	if (length == 0)
		return false;
	/* A name too long fails where it is opened. */
	size_t kept = length > NAME_MAX + 1 ? NAME_MAX + 1 : length;
	memcpy(name, from, kept);
	name[kept] = 0;
	memmove(walk->rest, from + length, strlen(from + length) + 1);
	return true;
}

static int up(struct walk *walk) {
	char *slash = strrchr(walk->done, '/');
	*(slash ? slash : walk->done) = 0;
	return use(walk, resolve_in_root(walk->root, walk->done, O_PATH | O_DIRECTORY));
}

static int follow(struct walk *walk, int link) {
	char target[PATH_MAX];
	ssize_t length = readlinkat(link, "", target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	size_t rest = strlen(walk->rest);
	if (++walk->links > MAX_LINKS || (size_t)length + 1 + rest >= sizeof(walk->rest)) {
		errno = walk->links > MAX_LINKS ? ELOOP : ENAMETOOLONG;
		return -1;
	}
	memmove(walk->rest + length + 1, walk->rest, rest + 1);
	memcpy(walk->rest, target, (size_t)length);
	walk->rest[length] = '/';
	if (target[0] != '/')
		return 0;
	walk->done[0] = 0;
	return use(walk, resolve_in_root(walk->root, ".", O_PATH | O_DIRECTORY));
}

static int append(struct walk *walk, const char *name) {
	size_t have = strlen(walk->done), more = strlen(name);
	if (have + 1 + more >= sizeof(walk->done)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (have)
		walk->done[have++] = '/';
	memcpy(walk->done + have, name, more + 1);
	return 0;
}

static bool more(const struct walk *walk) {
	return walk->rest[strspn(walk->rest, "/")] != 0;
}

/* `file_mode` 0: a directory is wanted. Somebody else's making it meanwhile is no failure. */
static int make_here(struct walk *walk, const char *name, mode_t mode, mode_t file_mode) {
	if (file_mode == 0 || more(walk)) {
		if (mkdirat(walk->at, name, mode) < 0 && errno != EEXIST)
			return -1;
	} else {
		int fd = openat(walk->at, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, file_mode);
		if (fd < 0 && errno != EEXIST)
			return -1;
		if (fd >= 0)
			close(fd);
	}
	return openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static int step(struct walk *walk, const char *name, mode_t mode, mode_t file_mode) {
	struct stat status;
	if (strcmp(name, ".") == 0)
		return 0;
	if (strcmp(name, "..") == 0)
		return up(walk);
	int fd = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		fd = make_here(walk, name, mode, file_mode);
	if (fd < 0)
		return -1;
	int result = fstat(fd, &status);
	if (result == 0 && S_ISLNK(status.st_mode)) {
		result = follow(walk, fd);
		close(fd);
		return result;
	}
	if (result == 0 && !S_ISDIR(status.st_mode) && (file_mode == 0 || more(walk))) {
		errno = ENOTDIR;
		result = -1;
	}
	if (result < 0 || append(walk, name) < 0) {
		int error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	return use(walk, fd);
}

static int make_walk(int root, const char *path, mode_t mode, mode_t file_mode) {
	struct walk walk;
	char name[NAME_MAX + 2];
	int result = walk_begin(&walk, root, path);
	while (result == 0 && next_name(&walk, name))
		result = step(&walk, name, mode, file_mode);
	if (result == 0)
		return walk.at;
	int error = errno;
	if (walk.at >= 0)
		close(walk.at);
	errno = error;
	return -1;
}

int make_path_in_root(int root, const char *path, mode_t mode) {
	int fd = resolve_in_root(root, path, O_PATH | O_DIRECTORY);
	return fd < 0 && errno == ENOENT ? make_walk(root, path, mode, 0) : fd;
}

int make_file_in_root(int root, const char *path, mode_t mode) {
	int fd = resolve_in_root(root, path, O_PATH);
	return fd < 0 && errno == ENOENT ? make_walk(root, path, 0755, mode ? mode : 0644) : fd;
}

int make_parent_in_root(int root, const char *path, char *name) {
	char parent[PATH_MAX];
	size_t length = strlen(path);
	while (length > 0 && path[length - 1] == '/')
		length--;
	size_t start = length;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (start >= sizeof(parent) || length - start > NAME_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(parent, path, start);
	parent[start] = 0;
	memcpy(name, path + start, length - start);
	name[length - start] = 0;
	if (*name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		errno = EINVAL;
		return -1;
	}
	return make_path_in_root(root, parent, 0755);
}
