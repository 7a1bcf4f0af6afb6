/* Job: capabilities, identities, no_new_privs and the seccomp filter of the process. */
#include "launcher.h"

#define CAPABILITY_BITS 64

/* What is outside of it already may be forbidden to drop: only a refusal is worth a look. */
int op_bounding(struct launch *launch, const struct value *fields) {
	uint64_t mask = fields[BOUNDING_MASK].number;
	for (unsigned capability = 0; capability < CAPABILITY_BITS; capability++) {
		if (mask >> capability & 1 || prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0)
			continue;
		int error = errno, held = prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
		if (held < 0)
			break; /* beyond the kernel's last one */
		if (held > 0)
			return launch_fail_with(launch, error, "prctl", "PR_CAPBSET_DROP");
	}
	return 0;
}

int op_keep_capabilities(struct launch *launch, const struct value *fields) {
	bool on = fields[KEEP_CAPABILITIES_ON].number;
	return launch_check(launch, prctl(PR_SET_KEEPCAPS, on, 0, 0, 0), "prctl", "PR_SET_KEEPCAPS");
}

int op_capabilities(struct launch *launch, const struct value *fields) {
	uint32_t header[] = {CAPABILITY_VERSION_3, 0}; /* of this process */
	uint32_t words[2][3]; /* effective, permitted, inheritable, as the fields */
	for (int i = 0; i < 2; i++)
		for (int set = CAPABILITIES_EFFECTIVE; set <= CAPABILITIES_INHERITABLE; set++)
			words[i][set] = (uint32_t)(fields[set].number >> 32 * i);
	return launch_check(launch, syscall(SYS_capset, header, words), "capset", "");
}

int op_ambient(struct launch *launch, const struct value *fields) {
	uint64_t mask = fields[AMBIENT_MASK].number;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return launch_fail(launch, "prctl", "PR_CAP_AMBIENT_CLEAR_ALL");
	for (unsigned capability = 0; capability < CAPABILITY_BITS; capability++)
		if (mask >> capability & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) < 0)
			return launch_fail(launch, "prctl", "PR_CAP_AMBIENT_RAISE");
	return 0;
}

/* The calls themselves: the library's wrappers do work for threads that we do not have. */
int op_groups(struct launch *launch, const struct value *fields) {
	size_t count = fields[GROUPS_GIDS].length / sizeof(uint32_t);
	if (fields[GROUPS_GIDS].length % sizeof(uint32_t) != 0)
		return launch_fail_with(launch, EINVAL, "setgroups", "");
	return launch_check(launch, syscall(SYS_setgroups, count, fields[GROUPS_GIDS].bytes), "setgroups", "");
}

/* A new identity makes the process as dumpable as fs.suid_dumpable says. */
static int take_identity(struct launch *launch, long number, uint64_t id, const char *step) {
	/* -1 would mean: as it is, which is root. */
	if (id >= UINT32_MAX)
		return launch_fail_with(launch, EINVAL, step, "");
	return launch_check(launch, syscall(number, id, id, id), step, "") < 0 ? -1 : launch_hide(launch);
}

int op_gid(struct launch *launch, const struct value *fields) {
	return take_identity(launch, SYS_setresgid, fields[GID_GID].number, "setresgid");
}

int op_uid(struct launch *launch, const struct value *fields) {
	return take_identity(launch, SYS_setresuid, fields[UID_UID].number, "setresuid");
}

int op_no_new_privileges(struct launch *launch, const struct value *fields) {
	(void)fields;
	return launch_check(launch, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl", "PR_SET_NO_NEW_PRIVS");
}

int op_seccomp(struct launch *launch, const struct value *fields) {
	const struct value *program = &fields[SECCOMP_PROGRAM];
	size_t instructions = program->length / FILTER_INSTRUCTION_BYTES;
	if (program->length % FILTER_INSTRUCTION_BYTES != 0 || instructions > MAX_FILTER_INSTRUCTIONS)
		return launch_fail_with(launch, EINVAL, "seccomp", "");
	struct kernel_filter filter = {.length = (uint16_t)instructions, .instructions = program->bytes};
	unsigned flags = (unsigned)fields[SECCOMP_FLAGS].number;
	return launch_check(launch, syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &filter), "seccomp", "");
}
