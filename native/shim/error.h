/* Saying what went wrong on standard error. */
#pragma once
#include <stdnoreturn.h>

void complain(const char *step, int error);
noreturn void die(const char *step, int error);
