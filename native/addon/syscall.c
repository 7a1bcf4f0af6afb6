/*
 * The generic system call, at once and on a thread. Arguments: numbers, BigInts, strings (as NUL-terminated
 * copies), typed arrays and buffers (as pointers to their bytes), null (0); in a batch also [i], the result
 * of its call i. The result is the kernel's, errors as -errno.
 */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { ARGUMENTS = 6, STRINGS = 2, STRING_BYTES = 4096, BATCH = 65536 };

/*
 * What a batch can do besides system calls. STORE(buffer, offset, value) and COPY(buffer, offset, from,
 * offset) write 32 bits, so that a call's answer can stand inside of a later call's bytes; POINT(buffer,
 * offset, to) writes where a buffer lies. After CHAIN the first failure, or a write that was cut short, skips
 * all but `close`. They are far from every errno.
 */
enum { STORE = -100001, COPY = -100002, CHAIN = -100003, POINT = -100004 };

struct call {
  long number;
  long arguments[ARGUMENTS];
  unsigned results; /* bit i: argument i is the index of an earlier call, whose result is meant */
};

static long perform(const struct call *call) {
  const long *a = call->arguments;
  long result = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
  return result == -1 ? -(long)errno : result;
}

static bool pointer_of(napi_env env, napi_value value, long *out) {
  void *data = NULL;
  bool is_view = false;
  if (napi_is_typedarray(env, value, &is_view) != napi_ok || !is_view) {
    return false;
  }
  if (napi_get_typedarray_info(env, value, NULL, NULL, &data, NULL, NULL) != napi_ok) {
    return false;
  }
  *out = (long)(intptr_t)data;
  return true;
}

/* Everything but strings. */
static bool plain_argument(napi_env env, napi_value value, napi_valuetype type, long *out) {
  int64_t number = 0;
  bool lossless = false;
  switch (type) {
    case napi_number:
      if (napi_get_value_int64(env, value, &number) != napi_ok) {
        return false;
      }
      *out = (long)number;
      return true;
    case napi_bigint:
      if (napi_get_value_bigint_int64(env, value, &number, &lossless) != napi_ok) {
        return false;
      }
      *out = (long)number;
      return true;
    case napi_null:
    case napi_undefined:
      *out = 0;
      return true;
    case napi_object:
      return pointer_of(env, value, out);
    default:
      return false;
  }
}

napi_value call_syscall(napi_env env, napi_callback_info info) {
  char strings[STRINGS][STRING_BYTES + 1];
  size_t used = 0;
  size_t count = ARGUMENTS + 1;
  napi_value values[ARGUMENTS + 1];
  struct call call = {0};
  napi_value result;
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  int64_t number = 0;
  TRY(napi_get_value_int64(env, values[0], &number));
  call.number = (long)number;
  for (size_t i = 1; i < count && i <= ARGUMENTS; i++) {
    napi_valuetype type;
    TRY(napi_typeof(env, values[i], &type));
    if (type != napi_string) {
      if (!plain_argument(env, values[i], type, &call.arguments[i - 1])) {
        return fail(env, "syscall: an argument is neither number, BigInt, string, typed array nor null");
      }
      continue;
    }
    if (used == STRINGS) {
      return fail(env, "syscall: more than two strings");
    }
    size_t length = 0;
    TRY(napi_get_value_string_utf8(env, values[i], strings[used], sizeof strings[used], &length));
    if (length == STRING_BYTES || strlen(strings[used]) != length) {
      TRY(napi_create_int64(env, length == STRING_BYTES ? -ENAMETOOLONG : -EINVAL, &result));
      return result;
    }
    call.arguments[i - 1] = (long)(intptr_t)strings[used++];
  }
  TRY(napi_create_int64(env, perform(&call), &result));
  return result;
}

/* Calls made one after the other on one thread; each is made whatever became of those before it. */
struct batch {
  struct job job;
  napi_ref arguments; /* keeps the buffers where they are */
  uint32_t count;
  struct call *calls;
  long *results;
  char **strings;
  size_t used;
};

/* False when a result that is wanted is that of a failure, or of no earlier call. */
static bool fill_results(struct batch *batch, uint32_t at) {
  struct call *call = &batch->calls[at];
  for (int i = 0; i < ARGUMENTS; i++) {
    if ((call->results & (1U << i)) == 0) {
      continue;
    }
    long index = call->arguments[i];
    if (index < 0 || index >= (long)at || batch->results[index] < 0) {
      return false;
    }
    call->arguments[i] = batch->results[index];
  }
  return true;
}

static long perform_in_batch(const struct call *call) {
  const long *a = call->arguments;
  switch (call->number) {
    case STORE: {
      int32_t value = (int32_t)a[2];
      memcpy((char *)(intptr_t)a[0] + a[1], &value, sizeof value);
      return 0;
    }
    case COPY:
      memcpy((char *)(intptr_t)a[0] + a[1], (char *)(intptr_t)a[2] + a[3], sizeof(int32_t));
      return 0;
    case POINT:
      memcpy((char *)(intptr_t)a[0] + a[1], &a[2], sizeof a[2]);
      return 0;
    case CHAIN:
      return 0;
    default:
      return call->number < 0 ? call->number : perform(call);
  }
}

static void run_batch(struct job *job) {
  struct batch *batch = (struct batch *)job;
  bool chained = false;
  bool failed = false;
  for (uint32_t i = 0; i < batch->count; i++) {
    struct call *call = &batch->calls[i];
    failed = failed || is_spoilt(job);
    bool skipped = failed && call->number != SYS_close;
    if (skipped || !fill_results(batch, i)) {
      batch->results[i] = -ECANCELED;
      continue;
    }
    long result = perform_in_batch(call);
    batch->results[i] = result;
    chained = chained || call->number == CHAIN;
    bool short_write = call->number == SYS_write && result != call->arguments[2];
    failed = failed || (chained && (result < 0 || short_write));
  }
}

static napi_value batch_result(napi_env env, struct job *job) {
  struct batch *batch = (struct batch *)job;
  napi_value array;
  TRY(napi_create_array_with_length(env, batch->count, &array));
  for (uint32_t i = 0; i < batch->count; i++) {
    napi_value element;
    TRY(napi_create_int64(env, batch->results[i], &element));
    TRY(napi_set_element(env, array, i, element));
  }
  return array;
}

static void release_batch(napi_env env, struct job *job) {
  struct batch *batch = (struct batch *)job;
  if (env != NULL && batch->arguments != NULL) {
    napi_delete_reference(env, batch->arguments);
  }
  for (size_t i = 0; batch->strings != NULL && i < batch->used; i++) {
    free(batch->strings[i]);
  }
  free(batch->strings);
  free(batch->calls);
  free(batch->results);
  free(batch);
}

static bool read_call(napi_env env, napi_value array, struct batch *batch, struct call *call) {
  uint32_t length = 0;
  if (napi_get_array_length(env, array, &length) != napi_ok || length == 0 || length > ARGUMENTS + 1) {
    return false;
  }
  for (uint32_t i = 0; i < length; i++) {
    napi_value value;
    napi_valuetype type;
    long *target = i == 0 ? &call->number : &call->arguments[i - 1];
    if (napi_get_element(env, array, i, &value) != napi_ok || napi_typeof(env, value, &type) != napi_ok) {
      return false;
    }
    bool is_array = false;
    if (type == napi_object && napi_is_array(env, value, &is_array) == napi_ok && is_array && i > 0) {
      napi_value index;
      int64_t number = 0;
      if (napi_get_element(env, value, 0, &index) != napi_ok ||
          napi_get_value_int64(env, index, &number) != napi_ok) {
        return false;
      }
      *target = (long)number;
      call->results |= 1U << (i - 1);
      continue;
    }
    if (type != napi_string) {
      if (!plain_argument(env, value, type, target)) {
        return false;
      }
      continue;
    }
    char *copy = copy_string(env, value);
    if (copy == NULL) {
      call->number = -EINVAL; /* a NUL inside: reported as this call's result */
      return true;
    }
    batch->strings[batch->used++] = copy;
    *target = (long)(intptr_t)copy;
  }
  return true;
}

/* syscallsAsync(calls, spoilsThread): the second for calls that change the thread itself, as unshare does. */
napi_value call_syscalls_async(napi_env env, napi_callback_info info) {
  size_t argument_count = 2;
  napi_value arguments[2];
  uint32_t count = 0;
  bool spoils = false;
  TRY(napi_get_cb_info(env, info, &argument_count, arguments, NULL, NULL));
  napi_value array = arguments[0];
  if (argument_count == 2) {
    TRY(napi_get_value_bool(env, arguments[1], &spoils));
  }
  TRY(napi_get_array_length(env, array, &count));
  if (count == 0 || count > BATCH) {
    return fail(env, "syscallsAsync: empty or too many");
  }
  struct batch *batch = calloc(1, sizeof *batch);
  if (batch == NULL) {
    return fail(env, "out of memory");
  }
  batch->job = (struct job){
      .run = run_batch, .result = batch_result, .release = release_batch, .spoils_thread = spoils};
  batch->count = count;
  batch->calls = calloc(count, sizeof *batch->calls);
  batch->results = calloc(count, sizeof *batch->results);
  batch->strings = calloc((size_t)count * ARGUMENTS, sizeof *batch->strings);
  bool good = batch->calls != NULL && batch->results != NULL && batch->strings != NULL &&
              napi_create_reference(env, array, 1, &batch->arguments) == napi_ok;
  for (uint32_t i = 0; good && i < count; i++) {
    napi_value call;
    good = napi_get_element(env, array, i, &call) == napi_ok && read_call(env, call, batch, &batch->calls[i]);
  }
  if (!good) {
    release_batch(env, &batch->job);
    return fail(env, "syscallsAsync: bad arguments");
  }
  return start_job(env, &batch->job);
}
