/*
 * Makes many entries of a file tree with one call from JavaScript. Directories are descriptors that
 * JavaScript has opened inside the tree's root, names are single components and never followed: nothing here
 * looks up a path.
 */
#define _GNU_SOURCE
#include "addon.h"
#include "entries.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPECIAL_BITS = 07000 };

static bool write_all(int fd, const char *bytes, size_t left) {
  while (left > 0) {
    ssize_t written = write(fd, bytes, left);
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written <= 0) {
      return false;
    }
    bytes += written;
    left -= (size_t)written;
  }
  return true;
}

static void times_of(const struct entry *entry, struct timespec times[2]) {
  times[0] = (struct timespec){.tv_sec = entry->seconds, .tv_nsec = entry->nanoseconds};
  times[1] = times[0];
}

/* Owner, mode, times: a new owner takes set-ID bits away. */
static bool set_metadata(int fd, const struct entry *entry, bool changes_owner, bool changes_mode) {
  struct timespec times[2];
  times_of(entry, times);
  return (!changes_owner || fchown(fd, entry->uid, entry->gid) == 0) &&
         (!changes_mode || fchmod(fd, entry->mode) == 0) && futimens(fd, times) == 0;
}

static bool has_owner(const struct entry *entry) {
  return entry->uid != 0 || entry->gid != 0;
}

/* Whole, or not there. */
static bool make_file(const struct entry *entry, mode_t mask) {
  int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  int fd = openat(entry->directory, entry->name, flags, entry->mode & ~SPECIAL_BITS);
  if (fd < 0) {
    return false;
  }
  bool good = write_all(fd, entry->content, entry->content_bytes) &&
              set_metadata(fd, entry, has_owner(entry), (entry->mode & (mask | SPECIAL_BITS)) != 0);
  good = close(fd) == 0 && good;
  if (!good) {
    unlinkat(entry->directory, entry->name, 0);
  }
  return good;
}

static bool make_symlink(const struct entry *entry) {
  struct timespec times[2];
  times_of(entry, times);
  if (symlinkat(entry->content, entry->directory, entry->name) != 0) {
    return false;
  }
  bool good = (!has_owner(entry) || fchownat(entry->directory, entry->name, entry->uid, entry->gid,
                                             AT_SYMLINK_NOFOLLOW) == 0) &&
              utimensat(entry->directory, entry->name, times, AT_SYMLINK_NOFOLLOW) == 0;
  if (!good) {
    unlinkat(entry->directory, entry->name, 0);
  }
  return good;
}

/* One that is there already is as good. Its metadata is set when everything is in it. */
static bool make_directory(const struct entry *entry) {
  struct stat stat;
  return mkdirat(entry->directory, entry->name, entry->mode & ~SPECIAL_BITS) == 0 ||
         (errno == EEXIST && fstatat(entry->directory, entry->name, &stat, AT_SYMLINK_NOFOLLOW) == 0 &&
          S_ISDIR(stat.st_mode));
}

static bool end_directory(const struct entry *entry) {
  int fd = openat(entry->directory, entry->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  bool good = set_metadata(fd, entry, true, true);
  return close(fd) == 0 && good;
}

static bool make_entry(const struct entry *entry, mode_t mask) {
  switch (entry->kind) {
    case ENTRY_FILE:
      return make_file(entry, mask);
    case ENTRY_SYMLINK:
      return make_symlink(entry);
    case ENTRY_DIRECTORY:
      return make_directory(entry);
    case ENTRY_DIRECTORY_END:
      return end_directory(entry);
  }
  return false;
}

/* makeEntries(entries, content, umask): how many were made, up to the first that was refused. */
napi_value call_make_entries(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value values[3];
  void *packed = NULL;
  void *content = NULL;
  uint32_t mask = 0;
  uint32_t made = 0;
  struct entries entries = {0};
  struct entry entry;
  napi_value result;
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  TRY(napi_get_typedarray_info(env, values[0], NULL, &entries.left, &packed, NULL, NULL));
  TRY(napi_get_typedarray_info(env, values[1], NULL, &entries.content_bytes, &content, NULL, NULL));
  TRY(napi_get_value_uint32(env, values[2], &mask));
  entries.at = packed;
  entries.content = content;
  /* All is read before anything is made. */
  for (struct entries unread = entries; unread.left > 0;) {
    const char *wrong = read_entry(&unread, &entry);
    if (wrong != NULL) {
      return fail(env, wrong);
    }
  }
  while (entries.left > 0 && read_entry(&entries, &entry) == NULL && make_entry(&entry, mask)) {
    made++;
  }
  TRY(napi_create_uint32(env, made, &result));
  return result;
}
