/* A starter that is born before it is needed: a start does not wait for its birth. */
#pragma once
#include <sys/types.h>

#include "starter.h"

/* Once, by a shim that is nobody's yet. It ends with the shim. */
void early_starter_make(void);
/* Its pid, and it is at work; 0: there is none any more. */
pid_t early_starter_take(const struct order *order);
/* It will not be needed. */
void early_starter_dismiss(void);
