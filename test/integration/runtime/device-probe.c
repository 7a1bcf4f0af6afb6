/*
 * For device-rules.test.ts: `device-probe CGROUP PROGRAM ATTEMPT…` enters a cgroup, to which it attaches an
 * eBPF program before (`-`: none), and prints the errno of each attempt: `r`, `w` or `b` (both) and a path is
 * an open, `m` with a path, `b` or `c` and two numbers, by colons, an mknod.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct load {
	uint32_t type, count;
	uint64_t instructions, license;
	uint32_t log_level, log_size;
	uint64_t log;
};
struct attach {
	uint32_t target, program, type, flags;
};

static int fail(const char *what) {
	perror(what);
	return 1;
}

static int attach_program(const char *cgroup, const char *path) {
	static char program[1 << 20], log[1 << 20];
	int fd = open(path, O_RDONLY);
	ssize_t bytes = fd < 0 ? -1 : read(fd, program, sizeof(program));
	if (bytes <= 0) return fail(path);
	struct load load = {15, (uint32_t)(bytes / 8), (uintptr_t)program, (uintptr_t) "Apache-2.0", 1, sizeof(log),
		(uintptr_t)log};
	int loaded = (int)syscall(SYS_bpf, 5, &load, sizeof(load));
	if (loaded < 0) {
		fprintf(stderr, "%s\n", log);
		return fail("BPF_PROG_LOAD");
	}
	struct attach attach = {(uint32_t)open(cgroup, O_RDONLY | O_DIRECTORY), (uint32_t)loaded, 6, 2};
	return syscall(SYS_bpf, 8, &attach, sizeof(attach)) == 0 ? 0 : fail("BPF_PROG_ATTACH");
}

static int attempt(char *text) {
	char path[256], type;
	unsigned int first, second;
	if (text[0] != 'm') {
		int fd = open(text + 1, (text[0] == 'r' ? O_RDONLY : text[0] == 'w' ? O_WRONLY : O_RDWR) | O_NONBLOCK | O_NOCTTY);
		int error = fd < 0 ? errno : 0;
		if (fd >= 0) close(fd);
		return error;
	}
	if (sscanf(text + 1, "%255[^:]:%c:%u:%u", path, &type, &first, &second) != 4) exit(2);
	int made = mknod(path, (type == 'b' ? S_IFBLK : S_IFCHR) | 0600, makedev(first, second));
	int error = made < 0 ? errno : 0;
	unlink(path);
	return error;
}

int main(int count, char **arguments) {
	char procs[512];
	if (count < 3) return 2;
	if (strcmp(arguments[2], "-") != 0 && attach_program(arguments[1], arguments[2]) != 0) return 1;
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", arguments[1]);
	int fd = open(procs, O_WRONLY);
	if (fd < 0 || write(fd, "0", 1) != 1) return fail(procs);
	for (int i = 3; i < count; i++) printf("%d\n", attempt(arguments[i]));
	return 0;
}
