/* Job: paths inside of a root, resolved and made below descriptors. */
#include "kernel.h"

#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "resolve.h"

#define MAX_LINKS 40
#define MAX_TURNS 4096 /* a path has fewer names; somebody may take away what is made */
#define MAX_RETRIES 64 /* of a resolution that a rename elsewhere made doubtful */
#define MADE_MODE 0755

void close_kept(int fd) {
	int error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
}

bool is_device(int fd, unsigned major, unsigned minor) {
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(major, minor);
}

uint32_t system_of(int fd) {
	struct statfs status;
	/* Some architectures keep the number in a signed word. */
	return fstatfs(fd, &status) < 0 ? 0 : (uint32_t)status.f_type;
}

static int fail(int error) {
	errno = error;
	return -1;
}

int resolve_with(int at, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve) {
	struct kernel_open_how how = {.flags = flags | O_CLOEXEC, .mode = mode, .resolve = resolve};
	int fd, tries = 0;
	do
		fd = (int)syscall(SYS_openat2, at, path, &how, sizeof(how));
	while (fd < 0 && (errno == EAGAIN || errno == EINTR) && ++tries < MAX_RETRIES);
	return fd;
}

int resolve_in_root(int root, const char *path, uint64_t flags) {
	return resolve_with(root, *path ? path : ".", flags, 0, RESOLVE_IN_IMAGE);
}

int split_path(const char *path, char *parent, char *name) {
	size_t end = strlen(path);
	while (end > 0 && path[end - 1] == '/')
		end--;
	size_t start = end;
	while (start > 0 && path[start - 1] != '/')
		start--;
	if (start >= PATH_MAX || end - start > NAME_MAX)
		return fail(ENAMETOOLONG);
	memcpy(parent, path, start);
	parent[start] = 0;
	memcpy(name, path + start, end - start);
	name[end - start] = 0;
	return *name == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ? fail(EINVAL) : 0;
}

/*
 * The name at `*start`, up to `end`, is missing in `at`: it is made. Somebody else's making it meanwhile is
 * no failure. If it is a link to nothing, what it says takes its place, and `*start` is where to go on. 0, 1:
 * it was a link, -1.
 */
static int make_name(int at, char *path, size_t *start, size_t end, bool file) {
	char name[NAME_MAX + 1], target[PATH_MAX];
	size_t size = end - *start, rest = strlen(path + end) + 1;
	if (size > NAME_MAX)
		return fail(ENAMETOOLONG);
	memcpy(name, path + *start, size);
	name[size] = 0;
	ssize_t length = readlinkat(at, name, target, sizeof(target));
	if (length > 0) {
		*start = target[0] == '/' ? 0 : *start;
		if (*start + (size_t)length + rest > PATH_MAX)
			return fail(ENAMETOOLONG);
		memmove(path + *start + length, path + end, rest);
		memcpy(path + *start, target, (size_t)length);
		return 1;
	}
	int flags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
	int made = file ? openat(at, name, flags, MADE_MODE) : mkdirat(at, name, MADE_MODE);
	if (made < 0 && errno != EEXIST)
		return -1;
	if (file)
		close_kept(made);
	return 0;
}

/* Each beginning of the path is resolved anew: what is missing is the last name of one, in the one before. */
static int make_walk(int root, const char *wanted, bool file) {
	char path[PATH_MAX];
	size_t start = 0;
	if (strlen(wanted) >= sizeof(path))
		return fail(ENAMETOOLONG);
	strcpy(path, wanted);
	int links = 0, turns = 0, at = resolve_in_root(root, "", O_PATH | O_DIRECTORY);
	while (at >= 0 && path[start += strspn(path + start, "/")]) {
		size_t end = start + strcspn(path + start, "/");
		bool last = path[end + strspn(path + end, "/")] == 0;
		char after = path[end];
		path[end] = 0;
		int next = resolve_in_root(root, path, O_PATH | (file && last ? 0 : O_DIRECTORY));
		path[end] = after;
		if (next >= 0)
			start = end;
		else if (errno == ENOENT && ++turns < MAX_TURNS) {
			int made = make_name(at, path, &start, end, file && last);
			links += made > 0;
			if (links > MAX_LINKS)
				errno = ELOOP;
			else if (made >= 0)
				next = start == 0 ? resolve_in_root(root, "", O_PATH | O_DIRECTORY) : at;
		}
		if (next != at)
			close_kept(at);
		at = next;
	}
	return at;
}

/* Often nothing but a directory's last name is missing: what is made there is no link, and stays none. */
int make_missing_in_root(int root, const char *path, bool file) {
	char parent[PATH_MAX], name[NAME_MAX + 1];
	bool alone = !file && split_path(path, parent, name) == 0;
	int made = -1, at = alone ? resolve_in_root(root, parent, O_PATH | O_DIRECTORY) : -1;
	if (at >= 0 && mkdirat(at, name, MADE_MODE) == 0)
		made = resolve_with(at, name, O_PATH | O_DIRECTORY, 0, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
	close_kept(at);
	return made < 0 ? make_walk(root, path, file) : made;
}

int make_path_in_root(int root, const char *path) {
	int fd = resolve_in_root(root, path, O_PATH | O_DIRECTORY);
	return fd < 0 && errno == ENOENT ? make_missing_in_root(root, path, false) : fd;
}

int make_parent_in_root(int root, const char *path, char *name) {
	char parent[PATH_MAX];
	return split_path(path, parent, name) < 0 ? -1 : make_path_in_root(root, parent);
}
