/* Job: mounts, from descriptor to descriptor. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "kernel.h"
#include "launcher.h"
#include "resolve.h"

#define OPTION_NAME_BYTES 256
#define MESSAGE_BYTES 512
#define EMPTY_TO_EMPTY (MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)

/* --- a new file system --- */

/*
 * The context's log says what the errno cannot: "e tmpfs: Unknown parameter 'x'\n". Without such a line the
 * object is told as it is. Always -1.
 */
static int fail_context(struct launch *launch, int context, const char *step, const char *object) {
	int error = errno;
	char message[MESSAGE_BYTES];
	ssize_t length;
	while ((length = read(context, message, sizeof(message) - 1)) > 0) {
		if (length < 3 || message[0] != 'e' || message[1] != ' ')
			continue;
		message[message[length - 1] == '\n' ? length - 1 : length] = 0;
		return launch_fail_with(launch, error, step, message + 2);
	}
	return launch_fail_with(launch, error, step, object);
}

static int set_option(int context, const char *option) {
	const char *equals = strchr(option, '=');
	if (!equals)
		return kernel_fsconfig(context, FSCONFIG_FLAG, option, NULL, 0);
	char name[OPTION_NAME_BYTES];
	size_t length = (size_t)(equals - option);
	if (length >= sizeof(name))
		return errno = EINVAL, -1;
	memcpy(name, option, length);
	name[length] = 0;
	return kernel_fsconfig(context, FSCONFIG_STRING, name, equals + 1, 0);
}

struct file_system {
	const char *type, *source;
	const struct value *options;
	unsigned attributes;
};

/* Everything up to fsmount; 0 or -1 after launch_fail. */
static int configure(struct launch *launch, int context, const struct file_system *system) {
	bool named = system->source[0];
	if (named && kernel_fsconfig(context, FSCONFIG_STRING, "source", system->source, 0) < 0)
		return fail_context(launch, context, "fsconfig", system->source);
	const uint8_t *at = system->options->bytes;
	for (uint64_t i = 0; i < system->options->number; i++) {
		const char *option = list_text(&at);
		if (set_option(context, option) < 0)
			return fail_context(launch, context, "fsconfig", option);
	}
	if (kernel_fsconfig(context, FSCONFIG_CREATE, NULL, NULL, 0) < 0)
		return fail_context(launch, context, "fsconfig", named ? system->source : system->type);
	return 0;
}

/* A detached mount, or -1 after launch_fail. */
static int make_mount(struct launch *launch, const struct file_system *system) {
	int context = kernel_fsopen(system->type);
	if (context < 0)
		return launch_fail(launch, "fsopen", system->type);
	int made = configure(launch, context, system);
	if (made == 0) {
		made = kernel_fsmount(context, system->attributes);
		if (made < 0)
			fail_context(launch, context, "fsmount", system->type);
	}
	close(context);
	return made;
}

int op_make_mount(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	struct file_system system = {
		.type = text_of(&fields[MAKE_MOUNT_TYPE]),
		.source = text_of(&fields[MAKE_MOUNT_SOURCE]),
		.options = &fields[MAKE_MOUNT_OPTIONS],
		.attributes = (unsigned)fields[MAKE_MOUNT_ATTRIBUTES].number,
	};
	int made = make_mount(launch, &system);
	return made < 0 ? -1 : launch_keep(launch, &fields[MAKE_MOUNT_SLOT], made);
}

static bool sets_mode(const struct value *options) {
	const uint8_t *at = options->bytes;
	for (uint64_t i = 0; i < options->number; i++)
		if (strncmp(list_text(&at), "mode=", 5) == 0)
			return true;
	return false;
}

/* A read-only super block keeps its mode. */
static int set_mode(int mount, mode_t mode) {
	int directory = openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0)
		return -1;
	int result = fchmod(directory, mode & 07777);
	int error = errno;
	close(directory);
	errno = error;
	return result < 0 && error != EROFS ? -1 : 0;
}

int op_make_tmpfs(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	const char *path = text_of(&fields[MAKE_TMPFS_PATH]);
	unsigned attributes = (unsigned)fields[MAKE_TMPFS_ATTRIBUTES].number;
	int root = launch_slot(launch, &fields[MAKE_TMPFS_ROOT]);
	if (root < 0)
		return -1;
	struct file_system system = {
		.type = "tmpfs",
		.source = text_of(&fields[MAKE_TMPFS_SOURCE]),
		.options = &fields[MAKE_TMPFS_OPTIONS],
		.attributes = attributes & ~(unsigned)MOUNT_ATTR_RDONLY,
	};
	int made = make_mount(launch, &system);
	if (made < 0)
		return -1;
	struct stat status;
	int covered = sets_mode(system.options) ? -1 : resolve_in_root(root, path, O_PATH | O_DIRECTORY);
	int failed = covered >= 0 && (fstat(covered, &status) < 0 || set_mode(made, status.st_mode) < 0);
	if (failed)
		launch_fail(launch, "fchmod", path);
	if (covered >= 0)
		close(covered);
	struct kernel_mount_attr readonly = {.set = MOUNT_ATTR_RDONLY};
	if (!failed && attributes & MOUNT_ATTR_RDONLY)
		failed = kernel_mount_setattr(made, "", AT_EMPTY_PATH, &readonly) < 0 &&
			launch_fail(launch, "mount_setattr", path);
	if (failed) {
		close(made);
		return -1;
	}
	return launch_keep(launch, &fields[MAKE_TMPFS_SLOT], made);
}

/* --- attributes --- */

int op_set_mount_attributes(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	const char *path = text_of(&fields[SET_MOUNT_ATTRIBUTES_PATH]);
	struct kernel_mount_attr attributes = {
		.set = fields[SET_MOUNT_ATTRIBUTES_SET].number,
		.clear = fields[SET_MOUNT_ATTRIBUTES_CLEAR].number,
		.propagation = fields[SET_MOUNT_ATTRIBUTES_PROPAGATION].number,
	};
	unsigned flags = fields[SET_MOUNT_ATTRIBUTES_RECURSIVE].number ? AT_RECURSIVE : 0;
	int at = launch_place(launch, &fields[SET_MOUNT_ATTRIBUTES_AT]);
	if (at == -1)
		return -1;
	/* No path of the host is sure any more once the root may be there, but this one. */
	if (at == AT_FDCWD && launch->list != LIST_BEFORE && strcmp(path, "/") != 0)
		return launch_fail_with(launch, EINVAL, "mount_setattr", path);
	if (fields[SET_MOUNT_ATTRIBUTES_USERNS].number != NO_SLOT) {
		int userns = launch_slot(launch, &fields[SET_MOUNT_ATTRIBUTES_USERNS]);
		if (userns < 0)
			return -1;
		attributes.userns = (uint64_t)userns;
	}
	int place = at;
	bool inside = at != AT_FDCWD && path[0];
	if (inside && (place = resolve_in_root(at, path, O_PATH)) < 0)
		return launch_fail(launch, "openat2", path);
	const char *rest = at == AT_FDCWD ? path : "";
	int result = kernel_mount_setattr(place, rest, flags | (*rest ? 0 : AT_EMPTY_PATH), &attributes);
	if (result < 0)
		launch_fail(launch, "mount_setattr", path);
	if (inside)
		close(place);
	return result;
}

/* --- attaching --- */

static uint32_t system_of(int fd) {
	struct statfs system;
	return fstatfs(fd, &system) < 0 ? 0 : (uint32_t)system.f_type;
}

/*
 * The plan refuses mounts into /proc by their names; a link of the image must not bring another one there.
 * And /proc and /sys are ordinary directories: where a link leads may change before their files are masked.
 */
static bool wants_no_link(int source, int target, const char *path) {
	uint32_t system = system_of(source);
	bool at_top = !strchr(path + strspn(path, "/"), '/');
	return system_of(target) == PROC_MAGIC || (at_top && (system == PROC_MAGIC || system == SYSFS_MAGIC));
}

/* Without links the same is reached. */
static bool is_straight(int root, const char *path, const struct stat *status) {
	struct stat reached;
	int fd = resolve_with(root, path, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	if (fd < 0)
		return false;
	bool same = fstat(fd, &reached) == 0 && reached.st_dev == status->st_dev && reached.st_ino == status->st_ino;
	close(fd);
	return same;
}

static int open_target(int root, const char *path, mode_t type) {
	int target = resolve_in_root(root, path, O_PATH);
	if (target >= 0 || errno != ENOENT)
		return target;
	return S_ISDIR(type) ? make_path_in_root(root, path, 0755) : make_file_in_root(root, path, 0755);
}

int op_attach(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[ATTACH_PATH]);
	int source = launch_slot(launch, &operation->fields[ATTACH_SLOT]);
	int root = launch_slot(launch, &operation->fields[ATTACH_ROOT]);
	if (source < 0 || root < 0)
		return -1;
	struct stat from, to;
	if (fstat(source, &from) < 0)
		return launch_fail(launch, "fstat", path);
	int target = open_target(root, path, from.st_mode);
	if (target < 0)
		return launch_fail(launch, "openat2", path);
	int result = 0;
	if (fstat(target, &to) < 0)
		result = launch_fail(launch, "fstat", path);
	else if (S_ISDIR(from.st_mode) != S_ISDIR(to.st_mode)) /* move_mount would say EINVAL, which says less */
		result = launch_fail_with(launch, ENOTDIR, "move_mount", path);
	else if (wants_no_link(source, target, path) && !is_straight(root, path, &to))
		result = launch_fail_with(launch, ELOOP, "openat2", path);
	else if (kernel_move_mount(source, "", target, "", EMPTY_TO_EMPTY) < 0)
		result = launch_fail(launch, "move_mount", path);
	close(target);
	return result;
}

int op_attach_root(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[ATTACH_ROOT_PATH]);
	int source = launch_slot(launch, &operation->fields[ATTACH_ROOT_SLOT]);
	if (source < 0)
		return -1;
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	if (kernel_move_mount(source, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return launch_fail(launch, "move_mount", path);
	return 0;
}

/* A clone of what `place` names goes on top of `target`, read-only if asked. */
static int cover(struct launch *launch, const char *path, const struct kernel_mount_attr *attributes,
	int place, int target) {
	unsigned flags = OPEN_TREE_CLONE | AT_EMPTY_PATH | (attributes ? AT_RECURSIVE : 0);
	int tree = kernel_open_tree(place, "", flags);
	if (tree < 0)
		return launch_fail(launch, "open_tree", path);
	struct kernel_mount_attr own = attributes ? *attributes : (struct kernel_mount_attr){0};
	int result = 0;
	if (attributes && kernel_mount_setattr(tree, "", AT_EMPTY_PATH, &own) < 0)
		result = launch_fail(launch, "mount_setattr", path);
	else if (kernel_move_mount(tree, "", target, "", EMPTY_TO_EMPTY) < 0)
		result = launch_fail(launch, "move_mount", path);
	close(tree);
	return result;
}

int op_make_readonly(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[MAKE_READONLY_PATH]);
	int root = launch_slot(launch, &operation->fields[MAKE_READONLY_ROOT]);
	if (root < 0)
		return -1;
	int target = resolve_in_root(root, path, O_PATH);
	if (target < 0)
		return launch_fail(launch, "openat2", path);
	struct kernel_mount_attr readonly = {.set = MOUNT_ATTR_RDONLY};
	int result = cover(launch, path, &readonly, target, target);
	close(target);
	return result;
}

static int cover_with_tmpfs(struct launch *launch, const char *path, int target) {
	int context = kernel_fsopen("tmpfs"), made = -1;
	if (context >= 0 && kernel_fsconfig(context, FSCONFIG_STRING, "source", "tmpfs", 0) == 0 &&
		kernel_fsconfig(context, FSCONFIG_FLAG, "ro", NULL, 0) == 0 &&
		kernel_fsconfig(context, FSCONFIG_CREATE, NULL, NULL, 0) == 0)
		made = kernel_fsmount(context, MOUNT_ATTR_RDONLY);
	int result = made < 0 ? launch_fail(launch, "fsmount", path) : 0;
	if (made >= 0 && kernel_move_mount(made, "", target, "", EMPTY_TO_EMPTY) < 0)
		result = launch_fail(launch, "move_mount", path);
	if (context >= 0)
		close(context);
	if (made >= 0)
		close(made);
	return result;
}

static bool is_null_device(int fd) {
	struct stat status;
	return fstat(fd, &status) == 0 && S_ISCHR(status.st_mode) && status.st_rdev == makedev(1, 3);
}

int op_mask(struct launch *launch, const struct operation *operation) {
	const char *path = text_of(&operation->fields[MASK_PATH]);
	int root = launch_slot(launch, &operation->fields[MASK_ROOT]);
	int null = launch_slot(launch, &operation->fields[MASK_NULL]);
	if (root < 0 || null < 0)
		return -1;
	if (!is_null_device(null))
		return launch_fail_with(launch, ENODEV, "fstat", "/dev/null");
	int target = resolve_in_root(root, path, O_PATH);
	if (target < 0)
		return launch_fail(launch, "openat2", path);
	struct stat status;
	int result;
	if (fstat(target, &status) < 0)
		result = launch_fail(launch, "fstat", path);
	else if (S_ISDIR(status.st_mode))
		result = cover_with_tmpfs(launch, path, target);
	else
		result = cover(launch, path, NULL, null, target);
	close(target);
	return result;
}
