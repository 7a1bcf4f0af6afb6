/* Reads packed entries; trusts nothing in them but the descriptors. No N-API in here: a fuzzer links it. */
#include "entries.h"

#include <string.h>

enum { ALIGNMENT = 8, MODE_BITS = 07777, SECOND = 1000000000 };

/* Little-endian, as both architectures are; `src/host/entry-batch.ts` knows the offsets. */
struct head {
  uint8_t kind;
  uint8_t zero;
  uint16_t name_bytes;
  int32_t directory;
  uint32_t mode;
  uint32_t uid;
  uint32_t gid;
  uint32_t nanoseconds;
  int64_t seconds;
  uint32_t content_at;
  uint32_t content_bytes;
};

_Static_assert(sizeof(struct head) == 40, "no holes");

static const char *check_name(const char *name, size_t length) {
  if (length == 0) {
    return "an entry without a name";
  }
  if (name[length] != '\0' || memchr(name, '\0', length) != NULL) {
    return "an entry whose name does not end where it says";
  }
  if (memchr(name, '/', length) != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
    return "an entry whose name is a path";
  }
  return NULL;
}

static const char *check_content(const struct head *head, const struct entries *entries) {
  if ((uint64_t)head->content_at + head->content_bytes > entries->content_bytes) {
    return "an entry's content beyond the end";
  }
  if (head->kind == ENTRY_FILE) {
    return NULL;
  }
  if (head->kind != ENTRY_SYMLINK) {
    return head->content_bytes == 0 ? NULL : "a directory with content";
  }
  const char *target = (const char *)entries->content + head->content_at;
  if (head->content_bytes == 0 || strnlen(target, head->content_bytes) != head->content_bytes - 1) {
    return "a link's target that does not end where it says";
  }
  return NULL;
}

const char *read_entry(struct entries *entries, struct entry *entry) {
  struct head head;
  if (entries->left < sizeof head) {
    return "an entry cut short";
  }
  memcpy(&head, entries->at, sizeof head);
  size_t size = (sizeof head + head.name_bytes + ALIGNMENT) / ALIGNMENT * ALIGNMENT;
  if (entries->left < size) {
    return "an entry cut short";
  }
  if (head.kind < ENTRY_FILE || head.kind > ENTRY_DIRECTORY_END || head.zero != 0) {
    return "an entry of an unknown kind";
  }
  if (head.directory < 0 || head.mode > MODE_BITS || head.nanoseconds >= SECOND) {
    return "an entry with a number out of range";
  }
  const char *name = (const char *)entries->at + sizeof head;
  const char *wrong = check_name(name, head.name_bytes);
  if (wrong == NULL) {
    wrong = check_content(&head, entries);
  }
  if (wrong != NULL) {
    return wrong;
  }
  *entry = (struct entry){
      .kind = head.kind,
      .directory = head.directory,
      .name = name,
      .content = (const char *)entries->content + head.content_at,
      .content_bytes = head.content_bytes,
      .mode = head.mode,
      .uid = head.uid,
      .gid = head.gid,
      .nanoseconds = head.nanoseconds,
      .seconds = head.seconds,
  };
  entries->at += size;
  entries->left -= size;
  return NULL;
}
