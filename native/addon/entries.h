/* Packed entries of a file tree, as `src/host/entry-batch.ts` writes them. */
#ifndef GANTRY_ENTRIES_H
#define GANTRY_ENTRIES_H

#include <stddef.h>
#include <stdint.h>

enum entry_kind { ENTRY_FILE = 1, ENTRY_SYMLINK, ENTRY_DIRECTORY, ENTRY_DIRECTORY_END };

struct entry {
  enum entry_kind kind;
  int directory;        /* descriptor of the directory it is in */
  const char *name;     /* one component, neither `.` nor `..` */
  const char *content;  /* of a symbolic link: its target, NUL-terminated */
  size_t content_bytes; /* with the target's NUL */
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  uint32_t nanoseconds;
  int64_t seconds;
};

/* What is still to be read. */
struct entries {
  const uint8_t *at;
  size_t left;
  const uint8_t *content;
  size_t content_bytes;
};

/* Takes the next entry, of which there must be one. NULL, or what is wrong with it. */
const char *read_entry(struct entries *entries, struct entry *entry);

#endif
