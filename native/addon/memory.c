/*
 * Gives back memory that the process does not need now: what is free in the C library's heaps, between other
 * things, and pages of the program itself, which the kernel has and maps again when somebody goes there.
 * malloc_trim has each heap's lock while it walks through it: threads that allocate there wait for that long.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SEGMENTS = 16 };

struct range {
  uintptr_t start;
  uintptr_t end;
};

/* The program's segments that nobody ever writes to: relocations are in others. */
struct segments {
  size_t count;
  struct range ranges[SEGMENTS];
};

/* Called for the program itself first, and then no more. */
static int take_segments(struct dl_phdr_info *program, size_t size, void *data) {
  (void)size;
  struct segments *segments = data;
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
  for (size_t i = 0; i < program->dlpi_phnum && segments->count < SEGMENTS; i++) {
    const ElfW(Phdr) *header = &program->dlpi_phdr[i];
    if (header->p_type != PT_LOAD || (header->p_flags & PF_W) != 0) {
      continue;
    }
    uintptr_t start = program->dlpi_addr + header->p_vaddr;
    segments->ranges[segments->count++] = (struct range){
        .start = start & ~(page - 1),
        .end = (start + header->p_memsz + page - 1) & ~(page - 1),
    };
  }
  return 1;
}

static bool is_inside(const struct segments *segments, uintptr_t start, uintptr_t end) {
  for (size_t i = 0; i < segments->count; i++) {
    if (start >= segments->ranges[i].start && end <= segments->ranges[i].end) {
      return true;
    }
  }
  return false;
}

/* Only what is mapped from a file: somebody may have put anonymous memory in its place (large pages). */
static void drop_program_pages(void) {
  struct segments segments = {0};
  dl_iterate_phdr(take_segments, &segments);
  FILE *maps = fopen("/proc/self/maps", "re");
  if (maps == NULL) {
    return;
  }
  char line[8192];
  while (fgets(line, sizeof line, maps) != NULL) {
    uintptr_t start = 0;
    uintptr_t end = 0;
    unsigned long inode = 0;
    char rights[5] = "";
    if (sscanf(line, "%lx-%lx %4s %*x %*s %lu", &start, &end, rights, &inode) == 4 && inode != 0 &&
        rights[1] == '-' && is_inside(&segments, start, end)) {
      madvise((void *)start, end - start, MADV_DONTNEED);
    }
  }
  fclose(maps);
}

napi_value call_release_memory(napi_env env, napi_callback_info info) {
  (void)env;
  (void)info;
#ifdef __GLIBC__
  malloc_trim(0);
#endif
  drop_program_pages();
  return NULL;
}
