/* Job: hold the temporary buffers, and the texts that stay. */
#define _GNU_SOURCE
#include "scratch.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "error.h"

/* Only whole pages: what lies behind the last one is not temporary. */
#define PAGE_BYTES 4096u
#define KEPT_BYTES (MAX_ATTRS_BYTES + 4 * (MAX_PATH_BYTES + 1) + 64)

struct scratch scratch __attribute__((aligned(4096)));
static char kept[KEPT_BYTES];
static size_t kept_length;
static bool used = true;

void scratch_used(void) {
	used = true;
}

bool scratch_was_used(void) {
	bool answer = used;
	used = false;
	return answer;
}

void scratch_give_back(void) {
	madvise(&scratch, sizeof(scratch) / PAGE_BYTES * PAGE_BYTES, MADV_DONTNEED);
}

const char *keep_text(const char *text) {
	size_t size = strlen(text) + 1;
	if (size > sizeof(kept) - kept_length)
		die("keep text", ENOMEM);
	char *copy = memcpy(kept + kept_length, text, size);
	kept_length += size;
	return copy;
}
