/* The small files of the task directory. */
#pragma once
#include <stdint.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process;

/* Field 22 of /proc/<pid>/stat, 0 if there is no such process. */
uint64_t record_start_time(pid_t pid);
/* Once, before the two that follow. */
void record_remember_shim(void);
uint64_t record_shim_start_time(void);
void record_shim(void);
void record_init(const struct process *process);
void record_exit(const struct process *process);
void record_exec(const struct process *process);
/* The number in a pid file, 0 if it has none. */
pid_t record_read_pid(const char *name);
/* Last bytes of a file; returns how many. */
size_t record_tail(const char *name, uint8_t *out, size_t capacity);
void record_remove_shim(void);
