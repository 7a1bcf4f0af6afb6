/* Job: a program of device rules for a cgroup of version 2. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "launcher.h"

#define BPF_PROG_LOAD 5
#define BPF_PROG_ATTACH 8
#define BPF_PROG_TYPE_CGROUP_DEVICE 15
#define BPF_CGROUP_DEVICE 6
#define BPF_F_ALLOW_MULTI 2
#define INSTRUCTION_BYTES 8

/* The beginnings of two members of union bpf_attr; the kernel takes what follows for zero. */
struct load {
	uint32_t type, instructions;
	uint64_t program, license;
	uint32_t log_level, log_size;
	uint64_t log;
	uint32_t kernel_version, flags;
};

struct attach {
	uint32_t target, program, type, flags;
};

/* The cgroup keeps the program; it goes with it. */
int op_device_program(struct launch *launch, const struct operation *operation) {
	const struct value *program = &operation->fields[DEVICE_PROGRAM_PROGRAM];
	struct load load = {
		.type = BPF_PROG_TYPE_CGROUP_DEVICE,
		.instructions = program->length / INSTRUCTION_BYTES,
		.program = (uint64_t)(uintptr_t)program->bytes,
		.license = (uint64_t)(uintptr_t) "Apache",
	};
	int cgroup = launch_slot(launch, &operation->fields[DEVICE_PROGRAM_CGROUP]);
	if (cgroup < 0)
		return -1;
	int loaded = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	if (loaded < 0)
		return launch_fail(launch, "bpf", "device rules: load");
	struct attach attach = {(uint32_t)cgroup, (uint32_t)loaded, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI};
	int result = (int)syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach));
	if (result < 0)
		launch_fail(launch, "bpf", "device rules: attach");
	close(loaded);
	return result;
}
