/* Job: mounts, from descriptor to descriptor. */
#include "launcher.h"

#define OPTION_NAME_BYTES 256
#define MESSAGE_BYTES 512

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
		return kernel_fsconfig(context, FSCONFIG_FLAG, option, NULL);
	char name[OPTION_NAME_BYTES];
	size_t length = (size_t)(equals - option);
	if (length >= sizeof(name))
		return errno = EINVAL, -1;
	memcpy(name, option, length);
	name[length] = 0;
	return kernel_fsconfig(context, FSCONFIG_STRING, name, equals + 1);
}

struct file_system {
	const char *type, *source;
	const struct value *options;
	unsigned attributes;
};

/* Everything up to fsmount; 0 or -1 after launch_fail. */
static int configure(struct launch *launch, int context, const struct file_system *system) {
	bool named = system->source[0];
	if (named && kernel_fsconfig(context, FSCONFIG_STRING, "source", system->source) < 0)
		return fail_context(launch, context, "fsconfig", system->source);
	const uint8_t *at = system->options->bytes;
	for (uint64_t i = 0; i < system->options->number; i++) {
		const char *option = list_text(&at);
		if (set_option(context, option) < 0)
			return fail_context(launch, context, "fsconfig", option);
	}
	if (kernel_fsconfig(context, FSCONFIG_CREATE, NULL, NULL) < 0)
		return fail_context(launch, context, "fsconfig", named ? system->source : system->type);
	return 0;
}

/* A detached mount, or -1 after launch_fail. */
static int make_mount(struct launch *launch, const struct file_system *system) {
	int context = (int)syscall(SYS_fsopen, system->type, FSOPEN_CLOEXEC);
	if (context < 0)
		return launch_fail(launch, "fsopen", system->type);
	int made = configure(launch, context, system);
	if (made == 0) {
		made = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, system->attributes);
		if (made < 0)
			fail_context(launch, context, "fsmount", system->type);
	}
	close(context);
	return made;
}

int op_make_mount(struct launch *launch, const struct value *fields) {
	struct file_system system = {
		.type = fields[MAKE_MOUNT_TYPE].text,
		.source = fields[MAKE_MOUNT_SOURCE].text,
		.options = &fields[MAKE_MOUNT_OPTIONS],
		.attributes = (unsigned)fields[MAKE_MOUNT_ATTRIBUTES].number,
	};
	return launch_keep(launch, &fields[MAKE_MOUNT_SLOT], make_mount(launch, &system));
}

/* The mode of the directory at `path`, when one is there; a read-only super block keeps its own. */
static int take_mode(struct launch *launch, int made, int root, const char *path) {
	struct stat status;
	int covered = resolve_in_root(root, path, O_PATH | O_DIRECTORY), result = 0;
	if (covered < 0)
		return 0;
	int directory = openat(made, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0 || fstat(covered, &status) < 0 ||
		(fchmod(directory, status.st_mode & 07777) < 0 && errno != EROFS))
		result = launch_fail(launch, "fchmod", path);
	close_kept(directory);
	close(covered);
	return result;
}

/* Read-only only at last: nobody could change the mode. */
int op_make_tmpfs(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_TMPFS_PATH].text;
	unsigned attributes = (unsigned)fields[MAKE_TMPFS_ATTRIBUTES].number;
	struct kernel_mount_attr readonly = {.set = attributes & MOUNT_ATTR_RDONLY};
	struct file_system system = {
		.type = "tmpfs",
		.source = fields[MAKE_TMPFS_SOURCE].text,
		.options = &fields[MAKE_TMPFS_OPTIONS],
		.attributes = attributes & ~(unsigned)MOUNT_ATTR_RDONLY,
	};
	int made = make_mount(launch, &system), result = made;
	if (made >= 0)
		result = take_mode(launch, made, fields[MAKE_TMPFS_ROOT].fd, path);
	if (result >= 0 && readonly.set)
		result = launch_check(launch, kernel_mount_setattr(made, "", AT_EMPTY_PATH, &readonly),
			"mount_setattr", path);
	if (result < 0)
		close_kept(made);
	return launch_keep(launch, &fields[MAKE_TMPFS_SLOT], result < 0 ? -1 : made);
}

int op_set_mount_attributes(struct launch *launch, const struct value *fields) {
	const struct value *at = &fields[SET_MOUNT_ATTRIBUTES_AT], *path = &fields[SET_MOUNT_ATTRIBUTES_PATH];
	struct kernel_mount_attr attributes = {
		.set = fields[SET_MOUNT_ATTRIBUTES_SET].number,
		.clear = fields[SET_MOUNT_ATTRIBUTES_CLEAR].number,
		.propagation = fields[SET_MOUNT_ATTRIBUTES_PROPAGATION].number,
	};
	if (fields[SET_MOUNT_ATTRIBUTES_USERNS].number != NO_SLOT)
		attributes.userns = (uint64_t)fields[SET_MOUNT_ATTRIBUTES_USERNS].fd;
	unsigned flags = AT_EMPTY_PATH | (fields[SET_MOUNT_ATTRIBUTES_RECURSIVE].number ? KERNEL_AT_RECURSIVE : 0);
	/* No path of the host is sure any more once the root may be there, but this one. */
	if (at->fd == AT_FDCWD && launch->list != LIST_BEFORE && strcmp(path->text, "/") != 0)
		return launch_fail_with(launch, EINVAL, "mount_setattr", path->text);
	struct place place = launch_place(launch, at, path, O_PATH);
	if (place.fd == -1)
		return -1;
	int result = kernel_mount_setattr(place.fd, place.path, flags, &attributes);
	launch_check(launch, result, "mount_setattr", path->text);
	place_close(&place);
	return result;
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

int op_attach(struct launch *launch, const struct value *fields) {
	const char *path = fields[ATTACH_PATH].text;
	int source = fields[ATTACH_SLOT].fd, root = fields[ATTACH_ROOT].fd, result = 0;
	struct stat from, to;
	if (fstat(source, &from) < 0)
		return launch_fail(launch, "fstat", path);
	bool directory = S_ISDIR(from.st_mode);
	int target = resolve_in_root(root, path, O_PATH);
	if (target < 0 && errno == ENOENT)
		target = make_missing_in_root(root, path, !directory);
	if (target >= 0 && wants_no_link(source, target, path)) {
		close(target);
		target = resolve_with(root, path, O_PATH, 0, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
	}
	if (target < 0)
		return launch_fail(launch, "openat2", path);
	if (fstat(target, &to) < 0)
		result = launch_fail(launch, "fstat", path);
	else if (directory != S_ISDIR(to.st_mode)) /* move_mount would say EINVAL, which says less */
		result = launch_fail_with(launch, ENOTDIR, "move_mount", path);
	else
		result = launch_check(launch, kernel_move_mount(source, target), "move_mount", path);
	close(target);
	return result;
}

int op_attach_root(struct launch *launch, const struct value *fields) {
	const char *path = launch->bare ? "/" : fields[ATTACH_ROOT_PATH].text;
	if (mount(NULL, "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		return launch_fail(launch, "mount", "/");
	int source = fields[ATTACH_ROOT_SLOT].fd;
	long result = syscall(SYS_move_mount, source, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH);
	return launch_check(launch, result, "move_mount", path);
}

/* `made` -1: there is none, as has been told. Closes both. */
static int cover(struct launch *launch, int target, int made, const char *path) {
	int result = made;
	if (made >= 0)
		result = launch_check(launch, kernel_move_mount(made, target), "move_mount", path);
	close_kept(made);
	close(target);
	return result;
}

int op_make_readonly(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_READONLY_PATH].text;
	struct kernel_mount_attr readonly = {.set = MOUNT_ATTR_RDONLY};
	int target = launch_resolve(launch, fields[MAKE_READONLY_ROOT].fd, path, O_PATH);
	if (target < 0)
		return -1;
	int tree = launch_check(launch, kernel_open_tree(target, "", AT_EMPTY_PATH | KERNEL_AT_RECURSIVE),
		"open_tree", path);
	if (tree >= 0 && kernel_mount_setattr(tree, "", AT_EMPTY_PATH, &readonly) < 0) {
		launch_fail(launch, "mount_setattr", path);
		close(tree);
		tree = -1;
	}
	return cover(launch, target, tree, path);
}

int op_mask(struct launch *launch, const struct value *fields) {
	static const struct value options = {.number = 1, .text = "\2\0\0\0ro"}; /* a plan's list; the super block */
	static const struct file_system empty = {"tmpfs", "tmpfs", &options, MOUNT_ATTR_RDONLY};
	const char *path = fields[MASK_PATH].text;
	int null = fields[MASK_NULL].fd, made = -1;
	struct stat status;
	if (!is_device(null, 1, 3))
		return launch_fail_with(launch, ENODEV, "fstat", "/dev/null");
	int target = launch_resolve(launch, fields[MASK_ROOT].fd, path, O_PATH);
	if (target < 0)
		return -1;
	if (fstat(target, &status) < 0)
		launch_fail(launch, "fstat", path);
	else if (S_ISDIR(status.st_mode))
		made = make_mount(launch, &empty);
	else
		made = launch_check(launch, kernel_open_tree(null, "", AT_EMPTY_PATH), "open_tree", path);
	return cover(launch, target, made, path);
}
