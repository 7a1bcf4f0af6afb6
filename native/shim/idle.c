/* Job: an idle shim is small, also after much output: pages that nobody needs go back to the kernel. */
#include "idle.h"

#include "connection.h"
#include "limits.h"
#include "log.h"
#include "process.h"
#include "program-pages.h"
#include "scratch.h"
#include "stdio-streams.h"

static uint64_t due_ns;

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
	return 0;
}
