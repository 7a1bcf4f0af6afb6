/*
 * The kernel's interface as far as the C libraries' headers lack it, and the headers that every part of the
 * launcher includes. Stands first in each file.
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif
#ifndef RESOLVE_NO_XDEV
#define RESOLVE_NO_XDEV 0x01
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH /* a library that knows one of these knows all of them */
#define MOVE_MOUNT_F_EMPTY_PATH 0x04
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#define OPEN_TREE_CLONE 1
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#define MOUNT_ATTR_RDONLY 0x01
#endif
/* An enumeration in some headers, absent in others. */
#define FSCONFIG_FLAG 0
#define FSCONFIG_STRING 1
#define FSCONFIG_CREATE 6
#define KERNEL_AT_RECURSIVE 0x8000
#define KERNEL_CLOSE_CLOEXEC 4
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif
#define KERNEL_CLONE_INTO_CGROUP 0x200000000ull
#define KERNEL_CLONE_PIDFD 0x1000
#define KERNEL_MFD_CLOEXEC 1u
#define KERNEL_MFD_NOEXEC_SEAL 8u

#define IOPRIO_WHO_PROCESS 1
#define KEYCTL_JOIN_SESSION_KEYRING 1
#define KEYCTL_SETPERM 5
#define SECCOMP_SET_MODE_FILTER 1
#define CAPABILITY_VERSION_3 0x20080522
#define MAX_FILTER_INSTRUCTIONS 4096
#define FILTER_INSTRUCTION_BYTES 8

#define PROC_MAGIC 0x9fa0
#define DEVPTS_MAGIC 0x1cd1
#define SYSFS_MAGIC 0x62656572

struct kernel_open_how {
	uint64_t flags, mode, resolve;
};

struct kernel_clone_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
		cgroup;
};

struct kernel_mount_attr {
	uint64_t set, clear, propagation, userns;
};

struct kernel_filter {
	uint16_t length;
	const void *instructions;
};

struct kernel_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

struct kernel_dirent {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

static inline int kernel_open_tree(int at, const char *path, unsigned flags) {
	return (int)syscall(SYS_open_tree, at, path, flags | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
}

/* From descriptor to descriptor. */
static inline int kernel_move_mount(int from, int to) {
	unsigned flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH;
	return (int)syscall(SYS_move_mount, from, "", to, "", flags);
}

static inline int kernel_fsconfig(int fs, unsigned command, const char *key, const char *value) {
	return (int)syscall(SYS_fsconfig, fs, command, key, value, 0);
}

static inline int kernel_mount_setattr(int at, const char *path, unsigned flags,
	struct kernel_mount_attr *attr) {
	return (int)syscall(SYS_mount_setattr, at, path, flags, attr, sizeof(*attr));
}

static inline pid_t kernel_clone3(struct kernel_clone_args *args) {
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

static inline int kernel_pidfd_open(pid_t pid) {
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static inline int kernel_pidfd_signal(int pidfd, int number) {
	return (int)syscall(SYS_pidfd_send_signal, pidfd, number, NULL, 0);
}

static inline int kernel_close_range(unsigned first, unsigned last, unsigned flags) {
	return (int)syscall(SYS_close_range, first, last, flags);
}
