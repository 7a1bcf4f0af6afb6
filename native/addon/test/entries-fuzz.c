/* Feeds mutated entries to the decoder and touches every byte of what it accepts. `entries-fuzz ROUNDS SEED` */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entries.h"

enum { HEAD_BYTES = 40, MOST_ENTRIES = 6, MOST_NAME = 20, CONTENT_BYTES = 64, BYTES = 512 };

static uint64_t state;

static uint32_t next_random(void) {
  state ^= state << 13;
  state ^= state >> 7;
  state ^= state << 17;
  return (uint32_t)(state >> 16);
}

static void put_u32(uint8_t *at, uint32_t value) { memcpy(at, &value, sizeof value); }

/* Content is letters with a NUL as every eighth byte: a link's target is one such eight. */
static size_t put_entry(uint8_t *at) {
  uint32_t kind = ENTRY_FILE + next_random() % 4;
  uint32_t length = 1 + next_random() % MOST_NAME;
  size_t size = (HEAD_BYTES + length + 8) / 8 * 8;
  memset(at, 0, size);
  at[0] = (uint8_t)kind;
  at[2] = (uint8_t)length;
  put_u32(at + 4, next_random() % 1000);
  put_u32(at + 8, next_random() % 010000);
  put_u32(at + 20, next_random() % 1000000000);
  put_u32(at + 24, next_random());
  if (kind == ENTRY_FILE || kind == ENTRY_SYMLINK) {
    put_u32(at + 32, next_random() % (CONTENT_BYTES / 8) * 8);
    put_u32(at + 36, 8);
  }
  memset(at + HEAD_BYTES, 'a' + (int)(next_random() % 26), length);
  return size;
}

static size_t mutate(uint8_t *bytes, size_t length) {
  static const uint32_t words[] = {0, 1, 0x2f, 0x2e2e, 0xff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
  for (uint32_t count = next_random() % 4; count > 0 && length > 8; count--) {
    size_t at = next_random() % (length - 4);
    uint32_t choice = next_random() % 8;
    if (choice < 3) {
      bytes[at] ^= (uint8_t)(1u << next_random() % 8);
    } else if (choice < 5) {
      put_u32(bytes + at / 4 * 4, words[next_random() % (sizeof words / sizeof *words)]);
    } else if (choice < 7) {
      put_u32(bytes + at / 4 * 4, next_random() % 128);
    } else {
      length -= next_random() % 8;
    }
  }
  return length;
}

static void *exact_copy(const void *bytes, size_t length) {
  void *copy = malloc(length > 0 ? length : 1);
  memcpy(copy, bytes, length);
  return copy;
}

/* True when all of it was accepted. What is accepted must hold what the header promises. */
static int decode(const uint8_t *bytes, size_t length, unsigned long *sum) {
  uint8_t content[CONTENT_BYTES];
  for (size_t i = 0; i < sizeof content; i++) {
    content[i] = i % 8 == 7 ? 0 : 'x';
  }
  uint8_t *entries_copy = exact_copy(bytes, length);
  uint8_t *content_copy = exact_copy(content, sizeof content);
  struct entries entries = {entries_copy, length, content_copy, sizeof content};
  const char *wrong = NULL;
  while (entries.left > 0 && wrong == NULL) {
    struct entry entry;
    size_t before = entries.left;
    wrong = read_entry(&entries, &entry);
    if (wrong != NULL) {
      break;
    }
    if (entries.left >= before || entry.directory < 0 || strchr(entry.name, '/') != NULL ||
        strcmp(entry.name, "..") == 0 || (entry.kind == ENTRY_SYMLINK && strlen(entry.content) > CONTENT_BYTES)) {
      printf("accepted what is not right\n");
      exit(1);
    }
    for (size_t i = 0; i < entry.content_bytes; i++) {
      *sum += (uint8_t)entry.content[i];
    }
    *sum += strlen(entry.name) + entry.mode;
  }
  free(entries_copy);
  free(content_copy);
  return wrong == NULL;
}

int main(int argc, char **argv) {
  static uint8_t bytes[BYTES];
  unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : 20000;
  unsigned long accepted = 0;
  unsigned long sum = 0;
  state = argc > 2 ? strtoull(argv[2], NULL, 10) : 88172645463325252ull;
  for (unsigned long round = 0; round < rounds; round++) {
    size_t length = 0;
    for (uint32_t count = next_random() % MOST_ENTRIES; count > 0; count--) {
      length += put_entry(bytes + length);
    }
    if (!decode(bytes, length, &sum)) {
      printf("sound entries are refused\n");
      return 1;
    }
    accepted += (unsigned)decode(bytes, mutate(bytes, length), &sum);
  }
  printf("%lu rounds, %lu accepted, checksum %lu\n", rounds, accepted, sum);
  return 0;
}
