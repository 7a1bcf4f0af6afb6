/* Kills by the kernel's OOM killer. */
#pragma once
#include <stdint.h>

/* `tell` hears of every new count. */
void oom_listen(void (*tell)(uint64_t count));
void oom_remember(const char *v1_directory, const char *v2_directory);
/* The cgroup exists now. */
void oom_watch(void);
/* Kills so far; tells the daemon about new ones. */
uint64_t oom_check(void);
/* As stdio_deadline. */
uint64_t oom_deadline(uint64_t now_ns);
