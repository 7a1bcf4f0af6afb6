/* The container's json-file log. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_stream { LOG_STDOUT, LOG_STDERR };

struct log_options {
	const char *path; /* "" = no log */
	const char *attrs; /* JSON object or "" */
	uint64_t max_size_bytes; /* 0 = never rotate */
	uint64_t max_files;
};

/* 0, or an errno. */
int log_open(const struct log_options *options);
void log_write(enum log_stream stream, const uint8_t *bytes, size_t length);
/* Pages of buffers that hold nothing. */
void log_give_back(void);
/* What is left of an unfinished line goes out without a newline. */
void log_finish(enum log_stream stream);
