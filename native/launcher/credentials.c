/* Job: capabilities, identities, no_new_privs and the seccomp filter of the process. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/prctl.h>

#include "kernel.h"
#include "launcher.h"

#define CAPABILITY_BITS 64

static int check(struct launch *launch, long result, const char *step) {
	return result < 0 ? launch_fail(launch, step, "") : 0;
}

int op_bounding(struct launch *launch, const struct operation *operation) {
	uint64_t mask = operation->fields[BOUNDING_MASK].number;
	for (unsigned capability = 0; capability < CAPABILITY_BITS; capability++) {
		int held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held < 0)
			break; /* beyond the kernel's last one */
		if (held && !(mask >> capability & 1) && prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0)
			return launch_fail(launch, "prctl", "PR_CAPBSET_DROP");
	}
	return 0;
}

int op_keep_capabilities(struct launch *launch, const struct operation *operation) {
	bool on = operation->fields[KEEP_CAPABILITIES_ON].number;
	return prctl(PR_SET_KEEPCAPS, on, 0, 0, 0) < 0 ? launch_fail(launch, "prctl", "PR_SET_KEEPCAPS") : 0;
}

int op_capabilities(struct launch *launch, const struct operation *operation) {
	const struct value *fields = operation->fields;
	struct kernel_capability_header header = {.version = CAPABILITY_VERSION_3};
	struct kernel_capability_word words[2];
	for (int i = 0; i < 2; i++) {
		words[i].effective = (uint32_t)(fields[CAPABILITIES_EFFECTIVE].number >> 32 * i);
		words[i].permitted = (uint32_t)(fields[CAPABILITIES_PERMITTED].number >> 32 * i);
		words[i].inheritable = (uint32_t)(fields[CAPABILITIES_INHERITABLE].number >> 32 * i);
	}
	return check(launch, syscall(SYS_capset, &header, words), "capset");
}

int op_ambient(struct launch *launch, const struct operation *operation) {
	uint64_t mask = operation->fields[AMBIENT_MASK].number;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return launch_fail(launch, "prctl", "PR_CAP_AMBIENT_CLEAR_ALL");
	for (unsigned capability = 0; capability < CAPABILITY_BITS; capability++)
		if (mask >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
			return launch_fail(launch, "prctl", "PR_CAP_AMBIENT_RAISE");
	return 0;
}

/* The calls themselves: the library's wrappers do work for threads that we do not have. */
int op_groups(struct launch *launch, const struct operation *operation) {
	const struct value *gids = &operation->fields[GROUPS_GIDS];
	if (gids->length % sizeof(uint32_t) != 0)
		return launch_fail_with(launch, EINVAL, "setgroups", "");
	return check(launch, syscall(SYS_setgroups, gids->length / sizeof(uint32_t), gids->bytes), "setgroups");
}

/* A new identity makes the process as dumpable as fs.suid_dumpable says; ours stays out of reach. */
static int take_identity(struct launch *launch, long number, uint64_t id, const char *step) {
	/* -1 would mean: as it is, which is root. */
	if (id >= UINT32_MAX)
		return launch_fail_with(launch, EINVAL, step, "");
	if (syscall(number, id, id, id) < 0)
		return launch_fail(launch, step, "");
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? launch_fail(launch, "prctl", "PR_SET_DUMPABLE") : 0;
}

int op_gid(struct launch *launch, const struct operation *operation) {
	return take_identity(launch, SYS_setresgid, operation->fields[GID_GID].number, "setresgid");
}

int op_uid(struct launch *launch, const struct operation *operation) {
	return take_identity(launch, SYS_setresuid, operation->fields[UID_UID].number, "setresuid");
}

int op_no_new_privileges(struct launch *launch, const struct operation *operation) {
	(void)operation;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? launch_fail(launch, "prctl", "PR_SET_NO_NEW_PRIVS") : 0;
}

int op_seccomp(struct launch *launch, const struct operation *operation) {
	const struct value *program = &operation->fields[SECCOMP_PROGRAM];
	size_t instructions = program->length / sizeof(struct kernel_filter_instruction);
	bool broken = program->length % sizeof(struct kernel_filter_instruction) != 0;
	if (broken || instructions > MAX_FILTER_INSTRUCTIONS)
		return launch_fail_with(launch, EINVAL, "seccomp", "");
	struct kernel_filter filter = {.length = (uint16_t)instructions, .instructions = program->bytes};
	unsigned flags = (unsigned)operation->fields[SECCOMP_FLAGS].number;
	return check(launch, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter), "seccomp");
}
