/* What the C libraries' headers lack of the kernel's interface: structures, flags, and the calls. */
#pragma once
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

#ifndef RESOLVE_NO_XDEV
#define RESOLVE_NO_XDEV 0x01
#define RESOLVE_NO_MAGICLINKS 0x02
#define RESOLVE_NO_SYMLINKS 0x04
#define RESOLVE_BENEATH 0x08
#define RESOLVE_IN_ROOT 0x10
#endif

#ifndef OPEN_TREE_CLONE
#define OPEN_TREE_CLONE 1
#endif
#ifndef OPEN_TREE_CLOEXEC
#define OPEN_TREE_CLOEXEC O_CLOEXEC
#endif
#ifndef MOVE_MOUNT_F_EMPTY_PATH
#define MOVE_MOUNT_F_EMPTY_PATH 0x04
#define MOVE_MOUNT_T_EMPTY_PATH 0x40
#endif
#ifndef FSOPEN_CLOEXEC
#define FSOPEN_CLOEXEC 1
#define FSMOUNT_CLOEXEC 1
#endif
/* An enumeration in some headers, absent in others. */
#define FSCONFIG_FLAG 0
#define FSCONFIG_STRING 1
#define FSCONFIG_FD 5
#define FSCONFIG_CREATE 6
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x01
#define MOUNT_ATTR_NOSUID 0x02
#define MOUNT_ATTR_NODEV 0x04
#define MOUNT_ATTR_NOEXEC 0x08
#endif
#ifndef MOUNT_ATTR_IDMAP
#define MOUNT_ATTR_IDMAP 0x00100000
#endif
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC 4
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif
#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#define KERNEL_CLONE_INTO_CGROUP 0x200000000ull
#define KERNEL_CLONE_PIDFD 0x1000

#define IOPRIO_WHO_PROCESS 1
#define KEYCTL_JOIN_SESSION_KEYRING 1
#define KEYCTL_SETPERM 5
#define KEYCTL_DESCRIBE 6
#define SECCOMP_SET_MODE_FILTER 1
#define CAPABILITY_VERSION_3 0x20080522
#define MAX_FILTER_INSTRUCTIONS 4096

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

struct kernel_capability_header {
	uint32_t version;
	int32_t pid;
};

struct kernel_capability_word {
	uint32_t effective, permitted, inheritable;
};

struct kernel_filter_instruction {
	uint16_t code;
	uint8_t jump_true, jump_false;
	uint32_t k;
};

struct kernel_filter {
	uint16_t length;
	const void *instructions;
};

/* What rt_sigaction takes; zeros mean SIG_DFL without flags. */
struct kernel_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
};

struct kernel_sched_attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static inline int kernel_openat2(int at, const char *path, struct kernel_open_how *how) {
	return (int)syscall(SYS_openat2, at, path, how, sizeof(*how));
}

static inline int kernel_open_tree(int at, const char *path, unsigned flags) {
	return (int)syscall(SYS_open_tree, at, path, flags | OPEN_TREE_CLOEXEC);
}

static inline int kernel_move_mount(int from, const char *source, int to, const char *target,
	unsigned flags) {
	return (int)syscall(SYS_move_mount, from, source, to, target, flags);
}

static inline int kernel_fsopen(const char *type) {
	return (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
}

static inline int kernel_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux) {
	return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}

static inline int kernel_fsmount(int fs, unsigned attributes) {
	return (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, attributes);
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
