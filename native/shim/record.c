/* Job: files that outlive the shim: who it is, which process it started, how everything ended. */
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "error.h"
#include "process.h"

/* Of this process, read while nobody waits. */
static struct {
	pid_t pid;
	uint64_t start_time;
	char boot[64];
} shim;

static size_t read_file(const char *name, char *out, size_t capacity) {
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	ssize_t got = fd < 0 ? -1 : read(fd, out, capacity - 1);
	if (fd >= 0)
		close(fd);
	out[got < 0 ? 0 : got] = 0;
	return got < 0 ? 0 : (size_t)got;
}

static void write_file(const char *name, const char *text) {
	char temporary[64];
	snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t length = strlen(text);
	bool written = fd >= 0 && write(fd, text, length) == (ssize_t)length;
	int error = errno;
	if (fd >= 0)
		close(fd);
	if (!written || rename(temporary, name) < 0)
		complain(name, written ? errno : error);
}

uint64_t record_start_time(pid_t pid) {
	char path[64], text[1024];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (read_file(path, text, sizeof(text)) == 0)
		return 0;
	/* The name in parentheses may hold anything; field 3 follows the last one. */
	char *at = strrchr(text, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	return at ? strtoull(at + 1, NULL, 10) : 0;
}

void record_remember_shim(void) {
	shim.pid = getpid();
	shim.start_time = record_start_time(shim.pid);
	read_file("/proc/sys/kernel/random/boot_id", shim.boot, sizeof(shim.boot));
	shim.boot[strcspn(shim.boot, "\n")] = 0;
}

uint64_t record_shim_start_time(void) {
	return shim.start_time;
}

void record_shim(void) {
	char text[256];
	snprintf(text, sizeof(text), "{\"version\":1,\"pid\":%d,\"startTime\":\"%llu\",\"bootId\":\"%s\"}\n",
		(int)shim.pid, (unsigned long long)shim.start_time, shim.boot);
	write_file("shim.pid", text);
}

void record_remove_shim(void) {
	unlink("shim.pid");
}

void record_init(const struct process *process) {
	char text[256];
	snprintf(text, sizeof(text), "{\"version\":1,\"pid\":%d,\"startTime\":\"%llu\",\"startedAtNs\":\"%llu\"}\n",
		(int)process->known_pid, (unsigned long long)process->start_time, (unsigned long long)process->started_ns);
	write_file("init", text);
}

void record_exit(const struct process *process) {
	char text[256];
	snprintf(text, sizeof(text),
		"{\"version\":1,\"pid\":%d,\"exitCode\":%d,\"signal\":%d,\"oomKilled\":%s,\"exitedAtNs\":\"%llu\"}\n",
		(int)process->known_pid, process->exit_code, process->signal, process->oom_killed ? "true" : "false",
		(unsigned long long)process->exited_ns);
	write_file("exit", text);
}

/* Ids come from the daemon; anything that JSON would have to escape is replaced. */
void record_exec(const struct process *process) {
	char id[MAX_EXEC_ID + 1], text[320];
	memcpy(id, process->id, sizeof(id));
	for (char *at = id; *at; at++)
		if (*at < 0x20 || *at == '"' || *at == '\\')
			*at = '_';
	int length = snprintf(text, sizeof(text),
		"{\"id\":\"%s\",\"pid\":%d,\"exitCode\":%d,\"signal\":%d,\"exitedAtNs\":\"%llu\"}\n", id, (int)process->known_pid,
		process->exit_code, process->signal, (unsigned long long)process->exited_ns);
	int fd = open("execs", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		complain("execs", errno);
	/* It lies in memory (tmpfs): without an end, a container that is probed every second would fill it. */
	if (fd >= 0 && lseek(fd, 0, SEEK_END) >= (off_t)EXECS_FILE_BYTES && rename("execs", "execs.old") < 0)
		complain("execs.old", errno);
	if (fd >= 0)
		close(fd);
}

pid_t record_read_pid(const char *name) {
	char text[32];
	read_file(name, text, sizeof(text));
	long pid = strtol(text, NULL, 10);
	return pid > 0 && pid < (1 << 22) + 1 ? (pid_t)pid : 0;
}

size_t record_tail(const char *name, uint8_t *out, size_t capacity) {
	int fd = name[0] ? open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	if (fd < 0)
		return 0;
	off_t size = lseek(fd, 0, SEEK_END);
	off_t from = size > (off_t)capacity ? size - (off_t)capacity : 0;
	ssize_t got = pread(fd, out, capacity, from);
	close(fd);
	return got < 0 ? 0 : (size_t)got;
}
