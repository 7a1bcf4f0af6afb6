/* Job: copy a tree of the root onto a new tmpfs, all below descriptors. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "kernel.h"
#include "launcher.h"
#include "resolve.h"

#define MAX_DEPTH 64
#define ENTRY_BYTES 4096
#define XATTR_BYTES 4096
#define CHUNK_BYTES 0x7ffff000

struct kernel_dirent {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static int copy_directory(int from, int to, unsigned depth);

/* What the target does not take stays behind. */
static void copy_xattrs(int from, int to) {
	char names[XATTR_BYTES], value[XATTR_BYTES];
	ssize_t length = flistxattr(from, names, sizeof(names));
	for (char *name = names; length > 0 && name < names + length; name += strlen(name) + 1) {
		ssize_t size = fgetxattr(from, name, value, sizeof(value));
		if (size >= 0)
			(void)fsetxattr(to, name, value, (size_t)size, 0);
	}
}

/* The owner first: a change of it takes the set-user-ID bit away. */
static int copy_attributes(int from, int to, const struct stat *status) {
	if (fchown(to, status->st_uid, status->st_gid) < 0 || fchmod(to, status->st_mode & 07777) < 0)
		return -1;
	copy_xattrs(from, to);
	struct timespec times[2] = {status->st_atim, status->st_mtim};
	return futimens(to, times);
}

static int copy_content(int from, int to) {
	ssize_t sent;
	do
		sent = sendfile(to, from, NULL, CHUNK_BYTES);
	while (sent > 0 || (sent < 0 && errno == EINTR));
	return (int)sent;
}

static int copy_link(int from, int to, const char *name) {
	char target[PATH_MAX];
	ssize_t length = readlinkat(from, name, target, sizeof(target) - 1);
	if (length < 0)
		return -1;
	target[length] = 0;
	return symlinkat(target, to, name);
}

static int copy_node(int to, const char *name, const struct stat *status) {
	mode_t mask = umask(0);
	int result = mknodat(to, name, status->st_mode, status->st_rdev);
	int error = errno;
	umask(mask);
	errno = error;
	return result;
}

static int copy_opened(int from, int to, unsigned depth) {
	struct stat status;
	if (fstat(from, &status) < 0)
		return -1;
	int result = S_ISDIR(status.st_mode) ? copy_directory(from, to, depth + 1) : copy_content(from, to);
	return result < 0 ? -1 : copy_attributes(from, to, &status);
}

/* A file or a directory. It does not block on what has taken its place meanwhile. */
static int copy_through(int from, int to, const char *name, unsigned depth) {
	int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat status;
	if (source < 0)
		return -1;
	int target = -1;
	if (fstat(source, &status) == 0 && S_ISREG(status.st_mode))
		target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	else if (S_ISDIR(status.st_mode) && mkdirat(to, name, 0700) == 0)
		target = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int result = target < 0 ? -1 : copy_opened(source, target, depth);
	int error = errno;
	close(source);
	if (target >= 0)
		close(target);
	errno = error;
	return result;
}

static int copy_entry(int from, int to, const char *name, unsigned depth) {
	struct stat status;
	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	int result = 0;
	switch (status.st_mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
		return copy_through(from, to, name, depth);
	case S_IFSOCK:
		return 0;
	case S_IFLNK:
		result = copy_link(from, to, name);
		break;
	default:
		result = copy_node(to, name, &status);
	}
	return result < 0 ? -1 : fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
}

static bool is_dot(const char *name) {
	return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

static int copy_directory(int from, int to, unsigned depth) {
	if (depth > MAX_DEPTH)
		return errno = ELOOP, -1;
	_Alignas(8) char entries[ENTRY_BYTES];
	long length;
	while ((length = syscall(SYS_getdents64, from, entries, sizeof(entries))) > 0) {
		const struct kernel_dirent *entry;
		for (long at = 0; at < length; at += entry->length) {
			entry = (const struct kernel_dirent *)(entries + at);
			if (!is_dot(entry->name) && copy_entry(from, to, entry->name, depth) < 0)
				return -1;
		}
	}
	return (int)length;
}

int op_copy_up(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[COPY_UP_PATH]);
	int mount = launch_slot(launch, &operation->fields[COPY_UP_SLOT]);
	int root = launch_slot(launch, &operation->fields[COPY_UP_ROOT]);
	if (mount < 0 || root < 0)
		return -1;
	int from = resolve_in_root(root, path, O_RDONLY | O_DIRECTORY);
	if (from < 0)
		return launch_fail(launch, "openat2", path);
	int to = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = to < 0 || copy_directory(from, to, 0) < 0 ? launch_fail(launch, "copyUp", path) : 0;
	if (to >= 0)
		close(to);
	close(from);
	return result;
}
