/* Job: the table of processes. Its rings are address space only, until output needs them. */
#include "process.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"

static struct process table[MAX_PROCESSES];
static uint8_t *rings;

static void reset(struct process *process, enum process_state state) {
	memset(process, 0, sizeof(*process));
	process->ring.bytes = rings + (size_t)(process - table) * RING_BYTES;
	process->ring.spill_fd = -1;
	process->state = state;
	process->pidfd = -1;
	process->error_fd = process->reports = process->network_ready = -1;
	process->in.fd = process->out.fd = process->err.fd = process->console.fd = -1;
}

void processes_open(void) {
	rings = mmap(NULL, (size_t)RING_BYTES * MAX_PROCESSES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (rings == MAP_FAILED)
		die("reserve rings", errno);
	reset(&table[0], PROCESS_NEW);
}

struct process *process_main(void) {
	return &table[0];
}

struct process *process_find(const char *id) {
	for (size_t i = 0; i < MAX_PROCESSES; i++)
		if (table[i].state != PROCESS_FREE && strcmp(table[i].id, id) == 0)
			return &table[i];
	return NULL;
}

struct process *process_reserve(const char *id) {
	for (size_t i = 1; i < MAX_PROCESSES; i++) {
		if (table[i].state != PROCESS_FREE)
			continue;
		reset(&table[i], PROCESS_NEW);
		strncpy(table[i].id, id, MAX_EXEC_ID);
		return &table[i];
	}
	return NULL;
}

void process_each(void (*visit)(struct process *process)) {
	for (size_t i = 0; i < MAX_PROCESSES; i++)
		if (table[i].state != PROCESS_FREE)
			visit(&table[i]);
}

struct process *process_by_pid(pid_t pid) {
	for (size_t i = 0; i < MAX_PROCESSES; i++)
		if (table[i].state != PROCESS_FREE && (table[i].pid == pid || table[i].runtime_pid == pid))
			return &table[i];
	return NULL;
}

bool process_expected(void) {
	for (size_t i = 0; i < MAX_PROCESSES; i++)
		if (table[i].state == PROCESS_STARTING)
			return true;
	return false;
}

bool process_any_running(void) {
	for (size_t i = 0; i < MAX_PROCESSES; i++)
		if (table[i].state == PROCESS_STARTING || table[i].state == PROCESS_RUNNING)
			return true;
	return false;
}

void process_forget_pid(struct process *process) {
	process->pid = 0;
	if (process->pidfd >= 0)
		close(process->pidfd);
	process->pidfd = -1;
}

void process_settle(struct process *process) {
	if (process->ending || process->clients > 0)
		return;
	if (process == &table[0] || process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING)
		return;
	if (process->state != PROCESS_NEW && !process->streams_ended)
		return;
	ring_clear(&process->ring);
	reset(process, PROCESS_FREE);
}
