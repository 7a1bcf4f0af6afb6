/* The two clocks. */
#pragma once
#include <stdint.h>

uint64_t wall_clock_ns(void);
uint64_t steady_clock_ns(void);
