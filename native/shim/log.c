/* Job: turn the streams into lines of the json-file log, one write per batch, and rotate the files. */
#define _GNU_SOURCE
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "error.h"
#include "json-line.h"
#include "limits.h"
#include "scratch.h"

#define LINE_OVERHEAD_BYTES (MAX_ATTRS_BYTES + 128u)

/* An unfinished line. A long one is cut into pieces that carry the time of the first. */
struct partial {
	uint8_t *bytes; /* LINE_BYTES */
	size_t length;
	bool continued;
	char time[TIME_TEXT_BYTES];
	size_t time_length;
};

static uint8_t lines[2][LINE_BYTES] __attribute__((aligned(4096)));
static struct partial partials[2] = {{.bytes = lines[0]}, {.bytes = lines[1]}};
static size_t batched;
static const char *log_path, *log_attrs;
static size_t attrs_length;
static uint64_t max_size, max_files, file_size;
static int log_fd = -1;
static char batch_time[TIME_TEXT_BYTES];
static size_t batch_time_length;

static int open_file(int extra_flags) {
	log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | extra_flags, 0640);
	if (log_fd < 0)
		return errno;
	struct stat status;
	file_size = fstat(log_fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	return 0;
}

int log_open(const struct log_options *options) {
	if (options->path[0] == 0)
		return 0;
	log_path = keep_text(options->path);
	log_attrs = keep_text(options->attrs);
	attrs_length = strlen(log_attrs);
	max_size = options->max_size_bytes;
	max_files = options->max_files < 1 ? 1 : options->max_files;
	return open_file(0);
}

/* A full disk costs lines, never the container and never half a line. */
static void flush_batch(void) {
	size_t done = 0;
	while (done < batched && log_fd >= 0) {
		ssize_t written = write(log_fd, scratch.log_batch + done, batched - done);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0) {
			complain("write log", errno);
			if (ftruncate(log_fd, (off_t)file_size) < 0)
				complain("truncate log", errno);
			batched = 0;
			return;
		}
		done += (size_t)written;
	}
	file_size += done;
	batched = 0;
}

static void rotate(void) {
	char from[MAX_PATH_BYTES + 32], to[MAX_PATH_BYTES + 32];
	flush_batch();
	close(log_fd);
	log_fd = -1;
	for (uint64_t index = max_files - 1; index > 0 && max_files > 1; index--) {
		snprintf(to, sizeof(to), "%s.%llu", log_path, (unsigned long long)index);
		if (index == 1)
			snprintf(from, sizeof(from), "%s", log_path);
		else
			snprintf(from, sizeof(from), "%s.%llu", log_path, (unsigned long long)(index - 1));
		if (rename(from, to) < 0 && errno != ENOENT)
			complain("rename log", errno);
	}
	int error = open_file(O_TRUNC);
	if (error)
		complain("open log", error);
}

static char *append(char *out, const void *bytes, size_t length) {
	memcpy(out, bytes, length);
	return out + length;
}

struct line {
	const uint8_t *head; /* what was kept from earlier reads */
	size_t head_length;
	const uint8_t *rest;
	size_t rest_length;
	bool newline;
	const char *time;
	size_t time_length;
};

static const uint8_t *joined(const struct line *line, size_t *length) {
	*length = line->head_length + line->rest_length;
	if (line->head_length == 0)
		return line->rest;
	memcpy(scratch.log_line, line->head, line->head_length);
	memcpy(scratch.log_line + line->head_length, line->rest, line->rest_length);
	return scratch.log_line;
}

static void put_line(enum log_stream stream, const struct line *line) {
	static const char *const middles[2] = {"\",\"stream\":\"stdout\"", "\",\"stream\":\"stderr\""};
	size_t length;
	const uint8_t *bytes = joined(line, &length);
	if (max_size > 0 && file_size + batched >= max_size)
		rotate();
	if (LOG_BATCH_BYTES - batched < length * ESCAPED_BYTES + LINE_OVERHEAD_BYTES)
		flush_batch();
	char *out = append(scratch.log_batch + batched, "{\"log\":\"", 8);
	out = json_escape(out, bytes, length);
	if (line->newline)
		out = append(out, "\\n", 2);
	out = append(out, middles[stream], 19);
	if (attrs_length > 0) {
		out = append(out, ",\"attrs\":", 9);
		out = append(out, log_attrs, attrs_length);
	}
	out = append(out, ",\"time\":\"", 9);
	out = append(out, line->time, line->time_length);
	out = append(out, "\"}\n", 3);
	batched = (size_t)(out - scratch.log_batch);
}

/* Writes the partial line and `rest`; `newline` ends the line, else it goes on with the next piece. */
static void emit(enum log_stream stream, const uint8_t *rest, size_t length, bool newline) {
	struct partial *partial = &partials[stream];
	if (!partial->continued && !newline) {
		memcpy(partial->time, batch_time, batch_time_length);
		partial->time_length = batch_time_length;
	}
	struct line line = {
		.head = partial->bytes,
		.head_length = partial->length,
		.rest = rest,
		.rest_length = length,
		.newline = newline,
		.time = partial->continued || !newline ? partial->time : batch_time,
		.time_length = partial->continued || !newline ? partial->time_length : batch_time_length,
	};
	put_line(stream, &line);
	partial->length = 0;
	partial->continued = !newline;
}

void log_write(enum log_stream stream, const uint8_t *bytes, size_t length) {
	if (log_fd < 0)
		return;
	struct partial *partial = &partials[stream];
	batch_time_length = time_text(batch_time, wall_clock_ns());
	while (length > 0) {
		size_t room = LINE_BYTES - partial->length;
		size_t window = length < room ? length : room;
		const uint8_t *end = memchr(bytes, '\n', window);
		size_t taken = end ? (size_t)(end - bytes) : window;
		if (end) {
			emit(stream, bytes, taken, true);
			taken++;
		} else if (window == room) {
			emit(stream, bytes, taken, false);
		} else {
			memcpy(partial->bytes + partial->length, bytes, taken);
			partial->length += taken;
		}
		bytes += taken;
		length -= taken;
	}
	flush_batch();
}

void log_finish(enum log_stream stream) {
	struct partial *partial = &partials[stream];
	if (log_fd < 0 || partial->length == 0)
		return;
	batch_time_length = time_text(batch_time, wall_clock_ns());
	emit(stream, (const uint8_t *)"", 0, false);
	partial->continued = false;
	flush_batch();
}

void log_give_back(void) {
	for (int stream = 0; stream < 2; stream++)
		if (partials[stream].length == 0)
			madvise(lines[stream], sizeof(lines[stream]), MADV_DONTNEED);
}
