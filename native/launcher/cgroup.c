/* Job: directories of cgroups, what they inherit, and a program of device rules for one of version 2. */
#include "launcher.h"

#define BPF_PROG_LOAD 5
#define BPF_PROG_ATTACH 8
#define BPF_PROG_TYPE_CGROUP_DEVICE 15
#define BPF_CGROUP_DEVICE 6
#define BPF_F_ALLOW_MULTI 2
#define INSTRUCTION_BYTES 8
#define MAX_INHERITED_BYTES 4096

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
	struct load load = {
		.type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.instructions = program->length / INSTRUCTION_BYTES,
		.program = (uint64_t)(uintptr_t)program->bytes,
		.license = (uint64_t)(uintptr_t) "Apache",
	};
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

int op_make_directory(struct launch *launch, const struct value *fields) {
	const char *path = fields[MAKE_DIRECTORY_PATH].text;
	return launch_check(launch, mkdir(path, (mode_t)fields[MAKE_DIRECTORY_MODE].number), "mkdir", path);
}

/* A new cpuset has an empty line, or nothing. */
int op_inherit_file(struct launch *launch, const struct value *fields) {
	const char *path = fields[INHERIT_FILE_TARGET].text;
	char content[MAX_INHERITED_BYTES];
	int from = -1, to = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	ssize_t length = to < 0 ? -1 : read(to, content, sizeof(content));
	if (length >= 0 && length <= 1) {
		from = open(fields[INHERIT_FILE_SOURCE].text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		length = from < 0 ? -1 : read(from, content, sizeof(content));
		if (length > 0)
			length = pwrite(to, content, (size_t)length, 0);
	}
	int result = launch_check(launch, length, "inherit", path);
	close_kept(from);
	close_kept(to);
	return result;
}
