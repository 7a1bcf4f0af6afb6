/*
 * A caller as container engines have one: becomes subreaper, runs the command, ends the process that it left
 * behind, and reaps it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
	int status, pid = 0;
	if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return 2;
	pid_t command = fork();
	if (command == 0) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	if (waitpid(command, &status, 0) != command || status != 0)
		return 3;
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--pid-file") == 0) {
			FILE *file = fopen(argv[i + 1], "r");
			if (!file || fscanf(file, "%d", &pid) != 1)
				return 4;
			fclose(file);
		}
	/* Only a child can be waited for. */
	if (pid <= 0 || waitpid(pid, &status, WNOHANG) != 0)
		return 5;
	kill(pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status))
		return 6;
	printf("child reaped: signal %d\n", WTERMSIG(status));
	return 0;
}
