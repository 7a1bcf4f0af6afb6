/*
 * Job: an idle shim keeps only the pages of its own program that it runs through while it waits; the
 * launcher's part is used by its children. They come back from the page cache when they are touched, but the
 * kernel then maps 64 KiB around each; so the program's mapping is cut into small pieces, which it does not
 * reach across. (Pieces stay apart because their read-ahead advice differs.)
 */
#define _GNU_SOURCE
#include "program-pages.h"

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>

#include "limits.h"

#define PIECE_BYTES (8u * KIB)
#define PAGE_MASK 4095ul

extern const char __executable_start;

static char *start;
static size_t length;

/* The part of the program that is executed, read-only data with it. */
static void find(void) {
	const Elf64_Phdr *header = (const Elf64_Phdr *)getauxval(AT_PHDR);
	unsigned long count = getauxval(AT_PHNUM);
	uintptr_t base = 0;
	for (unsigned long i = 0; header && i < count; i++) {
		if (header[i].p_type != PT_LOAD)
			continue;
		if (base == 0)
			base = (uintptr_t)&__executable_start - (header[i].p_vaddr & ~PAGE_MASK) + 1;
		if ((header[i].p_flags & PF_X) == 0)
			continue;
		start = (char *)((base - 1 + header[i].p_vaddr) & ~PAGE_MASK);
		length = header[i].p_filesz & ~PAGE_MASK;
		return;
	}
}

void program_give_back(void) {
	if (!start) {
		find();
		for (size_t at = 0; at + PIECE_BYTES < length; at += 2 * PIECE_BYTES)
			madvise(start + at, PIECE_BYTES, MADV_RANDOM);
	}
	if (length > 0)
		madvise(start, length, MADV_DONTNEED);
}
