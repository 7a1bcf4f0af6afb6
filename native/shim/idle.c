/* Job: an idle shim is small, also after much output: pages that nobody needs go back to the kernel. */
#define _GNU_SOURCE
#include "idle.h"

#include <stdint.h>
#include <sys/mman.h>

#include "connection.h"
#include "limits.h"
#include "log.h"
#include "process.h"
#include "program-pages.h"
#include "scratch.h"
#include "stdio-streams.h"

#define PAGE_BYTES 4096ul
#define STACK_BYTES (64ul * KIB)
#define CALL_BYTES 512

static uint64_t due_ns;

/* What deeper calls have used; the call to the kernel itself needs less than CALL_BYTES. */
static void stack_give_back(void) {
	uintptr_t end = ((uintptr_t)__builtin_frame_address(0) - CALL_BYTES) & ~(PAGE_BYTES - 1);
	madvise((void *)(end - STACK_BYTES), STACK_BYTES, MADV_DONTNEED);
}

uint64_t idle_deadline(uint64_t now_ns) {
	if (scratch_was_used())
		due_ns = now_ns + IDLE_AFTER_NS;
	if (due_ns == 0 || due_ns > now_ns)
		return due_ns;
	due_ns = 0;
	process_each(stdio_give_back);
	connection_each(connection_give_back);
	log_give_back();
	scratch_give_back();
	program_give_back();
	stack_give_back();
	return 0;
}
