/* Giving memory back. */
#pragma once
#include <stdint.h>

/* Gives memory back once nothing has happened for a while; as stdio_deadline. */
uint64_t idle_deadline(uint64_t now_ns);
