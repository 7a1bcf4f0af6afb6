/* Job: the two clocks, in nanoseconds. */
#include "clock.h"

#include <time.h>

static uint64_t read_clock(clockid_t clock) {
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

uint64_t wall_clock_ns(void) {
	return read_clock(CLOCK_REALTIME);
}

uint64_t steady_clock_ns(void) {
	return read_clock(CLOCK_MONOTONIC);
}
