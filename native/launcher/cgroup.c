/* Job: directories of cgroups, what they inherit, and a program of device rules for one of version 2. */
#include "launcher.h"

#define BPF_PROG_LOAD 5
#define BPF_PROG_ATTACH 8
#define BPF_PROG_TYPE_CGROUP_DEVICE 15
#define BPF_CGROUP_DEVICE 6
#define BPF_F_ALLOW_MULTI 2
#define INSTRUCTION_BYTES 8
#define MAX_INHERITED_BYTES 4096
#define MAX_INHERITED_LEVELS 64

/* The beginnings of two members of union bpf_attr; the kernel takes what follows for zero. */
struct load {
	uint32_t type, instructions;
	uint64_t program, license;
};

struct attach {
	uint32_t target, program, type, flags;
};

/* The cgroup keeps the program; it goes with it. */
int op_device_program(struct launch *launch, const struct value *fields) {
	const struct value *program = &fields[DEVICE_PROGRAM_PROGRAM];
	struct load load = {BPF_PROG_TYPE_CGROUP_DEVICE, program->length / INSTRUCTION_BYTES,
		(uint64_t)(uintptr_t)program->bytes, (uint64_t)(uintptr_t) "Apache"};
	int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	if (loaded < 0)
		return launch_fail(launch, "bpf", "device rules: load");
	struct attach attach = {(uint32_t)fields[DEVICE_PROGRAM_CGROUP].fd, (uint32_t)loaded, BPF_CGROUP_DEVICE,
		BPF_F_ALLOW_MULTI};
	int result = (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach));
	launch_check(launch, result, "bpf", "device rules: attach");
	close(loaded);
	return result;
}

/* Those above are there most of the time. */
int op_make_directory(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_DIRECTORY_PATH].text;
	mode_t mode = (mode_t)fields[MAKE_DIRECTORY_MODE].number;
	char above[PATH_MAX];
	int made = mkdir(path, mode);
	if (made < 0 && errno == ENOENT && snprintf(above, sizeof(above), "%s", path) < (int)sizeof(above)) {
		for (char *slash = above; (slash = strchr(slash + 1, '/')); *slash = '/') {
			*slash = 0;
			if (mkdir(above, mode) < 0 && errno != EEXIST)
				return launch_fail(launch, "mkdir", above);
		}
		made = mkdir(path, mode);
	}
	return launch_check(launch, made, "mkdir", path);
}

/*
 * What the file says, read to `content`. A new cpuset has an empty line, or nothing: it gets what the file of
 * that name in the directory above says.
 */
static ssize_t inherited(const char *path, char *content, unsigned levels) {
	char above[PATH_MAX];
	const char *name = strrchr(path, '/');
	const char *directory = name ? memrchr(path, '/', (size_t)(name - path)) : NULL;
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, content, MAX_INHERITED_BYTES);
	if (length == 0 || length == 1) {
		length = -1, errno = ENOENT;
		if (directory && levels > 0 &&
			snprintf(above, sizeof(above), "%.*s%s", (int)(directory - path), path, name) < (int)sizeof(above))
			length = inherited(above, content, levels - 1);
		if (length > 0)
			length = pwrite(fd, content, (size_t)length, 0);
	}
	close_kept(fd);
	return length;
}

int op_inherit_file(struct launch *launch, const struct value *fields) {
	const char *path = fields[INHERIT_FILE_PATH].text;
	char content[MAX_INHERITED_BYTES];
	return launch_check(launch, inherited(path, content, MAX_INHERITED_LEVELS), "inherit", path);
}
