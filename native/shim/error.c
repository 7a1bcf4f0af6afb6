/* Job: one line per problem on standard error, in the form that the daemon reads. */
#include "error.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void complain(const char *step, int error) {
	char line[512];
	int length = snprintf(line, sizeof(line), "error: %.400s: %d\n", step, error);
	if (write(STDERR_FILENO, line, (size_t)length) < 0)
		return;
}

noreturn void die(const char *step, int error) {
	complain(step, error);
	_exit(1);
}
