/* Job: copy a tree of the root onto a new tmpfs, all below descriptors. */
#include "launcher.h"

#include <sys/sendfile.h>
#include <sys/xattr.h>

#define MAX_DEPTH 64
#define ENTRY_BYTES 4096
#define XATTR_BYTES 4096
#define CHUNK_BYTES 0x7ffff000

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
	umask(mask); /* does not touch errno */
	return result;
}

/* A file or a directory. It does not block on what has taken its place meanwhile. */
static int copy_through(int from, int to, const char *name, unsigned depth) {
	int source = openat(from, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int target = -1, result = source;
	struct stat status;
	if (result >= 0)
		result = fstat(source, &status);
	if (result >= 0 && S_ISREG(status.st_mode)) {
		target = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		result = target < 0 ? -1 : copy_content(source, target);
	} else if (result >= 0 && S_ISDIR(status.st_mode)) {
		result = mkdirat(to, name, 0700);
		target = result < 0 ? -1 : openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		result = target < 0 ? -1 : copy_directory(source, target, depth + 1);
	}
	if (target >= 0 && result >= 0)
		result = copy_attributes(source, target, &status);
	close_kept(source);
	close_kept(target);
	return result;
}

static int copy_entry(int from, int to, const char *name, unsigned depth) {
	struct stat status;
	if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
		return copy_through(from, to, name, depth);
	if (S_ISSOCK(status.st_mode))
		return 0;
	int result = S_ISLNK(status.st_mode) ? copy_link(from, to, name) : copy_node(to, name, &status);
	return result < 0 ? -1 : fchownat(to, name, status.st_uid, status.st_gid, AT_SYMLINK_NOFOLLOW);
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
			bool dots = strcmp(entry->name, ".") == 0 || strcmp(entry->name, "..") == 0;
			if (!dots && copy_entry(from, to, entry->name, depth) < 0)
				return -1;
		}
	}
	return (int)length;
}

int op_copy_up(struct launch *launch, const struct value *fields) {
	const char *path = fields[COPY_UP_PATH].text;
	int from = launch_resolve(launch, fields[COPY_UP_ROOT].fd, path, O_RDONLY | O_DIRECTORY);
	if (from < 0)
		return -1;
	int to = openat(fields[COPY_UP_SLOT].fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = launch_check(launch, to < 0 ? -1 : copy_directory(from, to, 0), "copyUp", path);
	close_kept(to);
	close(from);
	return result;
}
