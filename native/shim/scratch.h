/* Buffers that are empty between two events, all in one place, so that their pages can be given back. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "limits.h"
#include "protocol.h"

struct scratch {
	uint8_t output[FRAME_HEADER_BYTES + CHUNK_BYTES]; /* one read, with room for its frame's header */
	uint8_t from_spill[CHUNK_BYTES];
	char log_batch[LOG_BATCH_BYTES];
	uint8_t log_line[LINE_BYTES];
	uint8_t reply[REPLY_BYTES];
	uint8_t runtime_log[LOG_TAIL_BYTES];
	uint8_t runtime_stderr[64 * KIB];
	int gifts[1 + MAX_PORTS + MAX_CONNECTIONS]; /* as they were given: root, ports, connections */
	char directory[MAX_PATH_BYTES + 1];
	char log_path[MAX_PATH_BYTES + 1], log_attrs[MAX_ATTRS_BYTES + 1];
	char oom_v1[MAX_PATH_BYTES + 1], oom_v2[MAX_PATH_BYTES + 1], spill_directory[MAX_PATH_BYTES + 1];
};

extern struct scratch scratch;

/* Something happened: buffers may hold pages now. */
void scratch_used(void);
/* Whether anything happened since the last question. */
bool scratch_was_used(void);
/* Gives every page of it back; it is zero afterwards. */
void scratch_give_back(void);
/* A copy that stays for ever: for the few texts of START, which lie side by side on few pages. */
const char *keep_text(const char *text);
