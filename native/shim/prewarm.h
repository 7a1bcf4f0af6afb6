/* A hint to the kernel that a process will soon be moved to another cgroup. */
#pragma once

void prewarm_cgroups(void);
