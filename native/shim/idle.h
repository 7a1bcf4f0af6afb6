/* Giving memory back. */
#pragma once
#include <stdint.h>

/* Buffers have been used. */
void idle_not_now(void);
/* Gives memory back once nothing has happened for a while; as stdio_deadline. */
uint64_t idle_deadline(uint64_t now_ns);
