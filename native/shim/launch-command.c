/* Job: the command `gantry-shim launch`: read a plan, run it, tell how that went, and wait if asked to. */
#define _GNU_SOURCE
#include "launch-command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "../launcher/kernel.h"
#include "../launcher/launcher.h"
#include "error.h"
#include "json-line.h"

static const char *const list_names[LISTS] = {"before", "parent", "child"};
static const char terminal_name[] = "/dev/ptmx";

static struct options {
	int plan;
	int report; /* -1: none */
	bool wait;
	const char *console; /* path of a socket that gets the terminal's master */
	int slots[MAX_SLOTS];
} options;

static noreturn void usage(void) {
	die("usage: gantry-shim launch PLAN_FD [wait] [report=FD] [console=SOCKET|@FD] [SLOT=FD...]", EINVAL);
}

static unsigned long number(const char *text, char **end, unsigned long below) {
	unsigned long value = strtoul(text, end, 10);
	if (*end == text || value >= below)
		usage();
	return value;
}

static int descriptor(const char *text) {
	char *end;
	int fd = (int)number(text, &end, INT32_MAX);
	if (*end)
		usage();
	if (fd > STDERR_FILENO && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		die("descriptor", errno);
	return fd;
}

static void parse(int argc, char **argv) {
	if (argc < 1)
		usage();
	options.plan = descriptor(argv[0]);
	options.report = -1;
	for (unsigned i = 0; i < MAX_SLOTS; i++)
		options.slots[i] = -1;
	/* Away from 0, 1 and 2, which the child's own take. */
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		options.slots[SLOT_IN + fd] = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	for (int i = 1; i < argc; i++) {
		char *end;
		if (strcmp(argv[i], "wait") == 0)
			options.wait = true;
		else if (strncmp(argv[i], "report=", 7) == 0)
			options.report = descriptor(argv[i] + 7);
		else if (strncmp(argv[i], "console=", 8) == 0)
			options.console = argv[i] + 8;
		else {
			unsigned long slot = number(argv[i], &end, MAX_SLOTS);
			if (*end != '=')
				usage();
			options.slots[slot] = descriptor(end + 1);
		}
	}
}

static void say(const char *line, int length) {
	int fd = options.report >= 0 ? options.report : STDERR_FILENO;
	if (length > 0 && write(fd, line, (size_t)length) < 0)
		return;
}

static void say_failure(const char *list, const struct launch_failure *failure) {
	static char line[REPORT_OBJECT_BYTES * ESCAPED_BYTES + 512], object[REPORT_OBJECT_BYTES * ESCAPED_BYTES + 1];
	size_t length = strlen(failure->object);
	*json_escape(object, (const uint8_t *)failure->object, length) = 0;
	say(line, snprintf(line, sizeof(line),
		"{\"list\":\"%s\",\"index\":%u,\"code\":%u,\"operation\":\"%s\",\"errno\":%d,\"status\":%d,\"step\":\"%s\","
		"\"object\":\"%s\"}\n", list, failure->index, failure->code, operation_name(failure->code),
		failure->error, failure->status, failure->step, object));
}

/* For what goes wrong outside of every list. */
static void say_other(const char *step, int error, const char *object) {
	struct launch_failure failure = {.error = error};
	snprintf(failure.step, sizeof(failure.step), "%s", step);
	snprintf(failure.object, sizeof(failure.object), "%s", object);
	say_failure("", &failure);
}

static noreturn void fail(const char *step, int error, const char *object) {
	say_other(step, error, object);
	_exit(1);
}

static void read_plan(struct plan *plan) {
	size_t room = MAX_PLAN_BYTES + 1, length = 0;
	int private = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	uint8_t *bytes = mmap(NULL, room, PROT_READ | PROT_WRITE, private, -1, 0);
	if (bytes == MAP_FAILED)
		fail("mmap", errno, "plan");
	while (length < room) {
		ssize_t got = read(options.plan, bytes + length, room - length);
		if (got < 0 && errno != EINTR)
			fail("read", errno, "plan");
		if (got == 0)
			break;
		length += got < 0 ? 0 : (size_t)got;
	}
	if (plan_decode(plan, bytes, length))
		return;
	char object[128];
	snprintf(object, sizeof(object), "%s at byte %u", plan->reason, plan->offset);
	fail("decode", EINVAL, object);
}

/* A name longer than an address holds is reached through its directory; `@FD` is connected already. */
static int connect_console(void) {
	if (options.console[0] == '@')
		return descriptor(options.console + 1);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *slash = strrchr(options.console, '/');
	int path_fits = snprintf(address.sun_path, sizeof(address.sun_path), "%s", options.console) <
		(int)sizeof(address.sun_path);
	if (!path_fits && slash) {
		char directory[4096];
		snprintf(directory, sizeof(directory), "%.*s", (int)(slash - options.console), options.console);
		int at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
		path_fits = at >= 0 && snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d%s", at, slash) <
			(int)sizeof(address.sun_path);
	}
	int fd = path_fits ? socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) : -1;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		fail("connect", path_fits ? errno : ENAMETOOLONG, options.console);
	return fd;
}

/* As OCI runtimes do: one message, the name for its payload. */
static void send_terminal(int console, int master) {
	if (console >= 0 && send_with_descriptor(console, terminal_name, sizeof(terminal_name) - 1, master) < 0)
		say_other("sendmsg", errno, options.console);
	close(master);
}

static int exit_code(int status) {
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int wait_for(pid_t pid) {
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* What the starter, which has ended, and the child have told; the child's pid. */
static pid_t read_reports(int reports, int console, bool *failed) {
	struct launch_report report;
	pid_t child = 0;
	int fd;
	while (report_read(reports, &report, &fd) > 0) {
		if (report.kind == REPORT_PID) {
			/* After a second clone, the first one has ended. */
			if (child > 0)
				wait_for(child);
			child = report.pid;
		}
		if (report.kind == REPORT_TERMINAL && fd >= 0)
			send_terminal(console, fd);
		if (report.kind == REPORT_FAILED) {
			*failed = true;
			say_failure(report.failure.list < LISTS ? list_names[report.failure.list] : "", &report.failure);
		}
	}
	return child;
}

/* A plan without a clone has nobody to tell of. */
static void say_pid(pid_t pid) {
	char line[48];
	if (pid == 0)
		return;
	if (options.report >= 0)
		say(line, snprintf(line, sizeof(line), "{\"pid\":%d}\n", pid));
	else if (!options.wait)
		dprintf(STDOUT_FILENO, "%d\n", pid);
}

int launch_main(int argc, char **argv) {
	struct plan plan;
	int reports[2];
	bool failed = false;
	parse(argc, argv);
	read_plan(&plan);
	int console = options.console ? connect_console() : -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, reports) < 0)
		fail("socketpair", errno, "");
	pid_t starter = fork();
	if (starter < 0)
		fail("fork", errno, "");
	if (starter == 0) {
		/* A child that waits for its start must not hold what others read to the end. */
		const int own[] = {reports[0], options.plan, options.report, console};
		for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
			if (own[i] > STDERR_FILENO)
				close(own[i]);
		launch_execute(&plan, options.slots, MAX_SLOTS, reports[1]);
	}
	close(reports[1]);
	/* A child that waits for its start keeps its end open. */
	int status = wait_for(starter);
	pid_t child = read_reports(reports[0], console, &failed);
	if (status != 0 && !failed) {
		say_other("starter", ECHILD, "killed");
		failed = true;
	}
	if (failed && child > 0) {
		kill(child, SIGKILL);
		wait_for(child);
	}
	if (failed)
		return 1;
	say_pid(child);
	return options.wait && child > 0 ? exit_code(wait_for(child)) : 0;
}
