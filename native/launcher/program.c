/* Job: find the program and execute it. */
#include "launcher.h"

/* 0, or the errno that speaks against executing it. */
static int obstacle(const char *path) {
	struct stat status;
	if (stat(path, &status) < 0)
		return errno;
	if (S_ISDIR(status.st_mode))
		return EISDIR;
	if (syscall(SYS_faccessat2, AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
		return 0;
	/* A filter that knows the call not: the mode decides. */
	if (errno == ENOSYS || errno == EPERM)
		return status.st_mode & 0111 ? 0 : EACCES;
	return errno;
}

/* The first obstacle that is more than absence is the one to tell. */
int op_find_program(struct launch *launch, const struct value *fields) {
	const uint8_t *at = fields[FIND_PROGRAM_CANDIDATES].bytes;
	const char *told = "";
	int error = ENOENT;
	for (uint64_t i = 0; i < fields[FIND_PROGRAM_CANDIDATES].number; i++) {
		launch->program = list_text(&at);
		int found = obstacle(launch->program);
		if (found == 0)
			return 0;
		if (error == ENOENT) {
			error = found;
			told = launch->program;
		}
	}
	launch->program = NULL;
	return launch_fail_with(launch, error, "execve", told);
}

int op_execute(struct launch *launch, const struct value *fields) {
	char **arguments = launch_vectors;
	char **environment = arguments + list_pointers(&fields[EXECUTE_ARGUMENTS], arguments);
	list_pointers(&fields[EXECUTE_ENVIRONMENT], environment);
	const char *program = launch->program ? launch->program : arguments[0];
	if (!program)
		return launch_fail_with(launch, EINVAL, "execve", "");
	if (!launch->closed && launch_close_from(launch, STDERR_FILENO + 1) < 0)
		return -1;
	execve(program, arguments, environment);
	return launch_fail(launch, "execve", program);
}
