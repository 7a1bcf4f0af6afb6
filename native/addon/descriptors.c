/* Descriptors over a unix socket: a msghdr is full of pointers, which JavaScript cannot write. */
#define _GNU_SOURCE
#include "addon.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FDS = 253, MESSAGE_BYTES = 4096 };

union control {
  char bytes[CMSG_SPACE(FDS * sizeof(int))];
  struct cmsghdr align;
};

/* sendFds(socket, Int32Array fds, Uint8Array message): bytes sent, or -errno. */
napi_value call_send_fds(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value values[3];
  int32_t socket = -1;
  void *fds = NULL;
  size_t fd_count = 0;
  struct iovec part = {0};
  napi_value result;
  TRY(napi_get_cb_info(env, info, &count, values, NULL, NULL));
  TRY(napi_get_value_int32(env, values[0], &socket));
  TRY(napi_get_typedarray_info(env, values[1], NULL, &fd_count, &fds, NULL, NULL));
  TRY(napi_get_typedarray_info(env, values[2], NULL, &part.iov_len, &part.iov_base, NULL, NULL));
  if (fd_count > FDS) {
    return fail(env, "sendFds: too many descriptors");
  }
  union control control;
  memset(&control, 0, sizeof control);
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd_count > 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, fd_count * sizeof(int));
  }
  ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  TRY(napi_create_int64(env, sent < 0 ? -errno : sent, &result));
  return result;
}

struct receipt {
  struct job job;
  int socket;
  int error;
  size_t length;
  size_t fd_count;
  int fds[FDS];
  char message[MESSAGE_BYTES];
};

static void run_receipt(struct job *job) {
  struct receipt *receipt = (struct receipt *)job;
  union control control;
  struct iovec part = {.iov_base = receipt->message, .iov_len = sizeof receipt->message};
  struct msghdr message = {
      .msg_iov = &part,
      .msg_iovlen = 1,
      .msg_control = control.bytes,
      .msg_controllen = sizeof control.bytes,
  };
  ssize_t length;
  do {
    length = recvmsg(receipt->socket, &message, MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) {
    receipt->error = errno;
    return;
  }
  receipt->length = (size_t)length;
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  for (; header != NULL; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      receipt->fd_count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
      memcpy(receipt->fds, CMSG_DATA(header), receipt->fd_count * sizeof(int));
    }
  }
}

/* -errno, or [descriptors, message]. */
static napi_value receipt_result(napi_env env, struct job *job) {
  struct receipt *receipt = (struct receipt *)job;
  napi_value result;
  napi_value part;
  if (receipt->error != 0) {
    TRY(napi_create_int32(env, -receipt->error, &result));
    return result;
  }
  TRY(napi_create_array_with_length(env, 2, &result));
  TRY(napi_create_array_with_length(env, receipt->fd_count, &part));
  for (size_t i = 0; i < receipt->fd_count; i++) {
    napi_value fd;
    TRY(napi_create_int32(env, receipt->fds[i], &fd));
    TRY(napi_set_element(env, part, (uint32_t)i, fd));
  }
  TRY(napi_set_element(env, result, 0, part));
  TRY(napi_create_buffer_copy(env, receipt->length, receipt->message, NULL, &part));
  TRY(napi_set_element(env, result, 1, part));
  return result;
}

static void release_receipt(napi_env env, struct job *job) {
  struct receipt *receipt = (struct receipt *)job;
  for (size_t i = 0; env == NULL && i < receipt->fd_count; i++) {
    close(receipt->fds[i]);
  }
  free(receipt);
}

napi_value call_receive_fds(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value value;
  int32_t socket = -1;
  TRY(napi_get_cb_info(env, info, &count, &value, NULL, NULL));
  TRY(napi_get_value_int32(env, value, &socket));
  struct receipt *receipt = calloc(1, sizeof *receipt);
  if (receipt == NULL) {
    return fail(env, "out of memory");
  }
  receipt->job = (struct job){.run = run_receipt, .result = receipt_result, .release = release_receipt};
  receipt->socket = socket;
  return start_job(env, &receipt->job);
}
