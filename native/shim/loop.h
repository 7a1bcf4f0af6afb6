/* The event loop: who waits for which descriptor. */
#pragma once
#include <stdint.h>

struct source {
	int fd;
	uint32_t events; /* what is waited for now; 0 = not in the set */
	void (*ready)(struct source *source, uint32_t events);
};

void loop_open(void);
/* events 0 takes the source out. Call it before closing the descriptor. */
void loop_want(struct source *source, uint32_t events);
void loop_once(int timeout_ms);
