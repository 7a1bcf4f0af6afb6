/* Requests of the daemon, and what it is told. */
#pragma once
#include <stdbool.h>

/* Once, at the beginning. */
void control_open(void);
bool control_released(void);
