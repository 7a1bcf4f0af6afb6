/* Registers the functions. */
#include "addon.h"

#include <stdlib.h>
#include <string.h>

napi_value fail(napi_env env, const char *what) {
  bool pending = false;
  if (napi_is_exception_pending(env, &pending) == napi_ok && !pending) {
    napi_throw_error(env, NULL, what);
  }
  return NULL;
}

char *copy_string(napi_env env, napi_value value) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok) {
    return NULL;
  }
  char *copy = malloc(length + 1);
  if (copy == NULL) {
    return NULL;
  }
  if (napi_get_value_string_utf8(env, value, copy, length + 1, &length) != napi_ok ||
      strlen(copy) != length) {
    free(copy);
    return NULL;
  }
  return copy;
}

void free_strings(char **strings) {
  if (strings == NULL) {
    return;
  }
  for (size_t i = 0; strings[i] != NULL; i++) {
    free(strings[i]);
  }
  free(strings);
}

char **copy_strings(napi_env env, napi_value array) {
  uint32_t count = 0;
  if (napi_get_array_length(env, array, &count) != napi_ok) {
    return NULL;
  }
  char **strings = calloc((size_t)count + 1, sizeof *strings);
  for (uint32_t i = 0; strings != NULL && i < count; i++) {
    napi_value element;
    if (napi_get_element(env, array, i, &element) == napi_ok) {
      strings[i] = copy_string(env, element);
    }
    if (strings[i] == NULL) {
      free_strings(strings);
      return NULL;
    }
  }
  return strings;
}

NAPI_MODULE_INIT() {
  static const struct {
    const char *name;
    napi_callback call;
  } functions[] = {
      {"syscall", call_syscall},
      {"syscallsAsync", call_syscalls_async},
      {"spawn", call_spawn},
      {"createNetwork", call_create_network},
      {"createUser", call_create_user},
      {"createNetworkIn", call_create_network_in},
      {"sendFds", call_send_fds},
      {"receiveFds", call_receive_fds},
      {"makeEntries", call_make_entries},
      {"releaseMemory", call_release_memory},
  };
  for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
    napi_value function;
    TRY(napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].call, NULL, &function));
    TRY(napi_set_named_property(env, exports, functions[i].name, function));
  }
  return exports;
}
