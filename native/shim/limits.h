/* Every bound of the shim in one place, with its unit in the name. */
#pragma once

#define KIB 1024u
#define MIB (1024u * KIB)

#define MAX_CONNECTIONS 192
#define MAX_EXECS 256
#define MAX_PROCESSES (MAX_EXECS + 1) /* the container's main process comes first */
#define MAX_EXEC_ID 64
#define EXECS_FILE_BYTES (512u * KIB) /* then it becomes execs.old, in the place of the one before */
#define MAX_NAME 255
#define MAX_PATH_BYTES 4095
#define MAX_CONSOLE_NAME 100
#define MAX_ARGUMENTS 64
#define MAX_PORTS 65536u /* sockets that hold published ports */
#define MAX_NETNS_PATH 64u
#define MAX_GIFTS_BYTES (253 * sizeof(int)) /* descriptors in one message: the kernel takes no more */
#define MAX_ATTRS_BYTES (16u * KIB)
#define MAX_REQUEST_BYTES (4u * MIB + 256u * KIB)
#define MAX_RUNTIME_BYTES (256u * KIB) /* argv and environment of an OCI runtime */
#define MAX_PAYLOAD_BYTES (64u * KIB)
#define CHUNK_BYTES (64u * KIB)
#define LINE_BYTES (16u * KIB)
#define LOG_TAIL_BYTES (16u * KIB)
#define STDERR_TAIL_BYTES (8u * KIB)
#define REPLY_BYTES (64u * KIB)
#define OUTPUT_QUEUE_BYTES (512u * KIB)
#define OUTPUT_PAUSE_BYTES (64u * KIB)
#define LOG_BATCH_BYTES (128u * KIB)
#define RING_BYTES MIB
#define SPILL_DEFAULT_BYTES (1024ull * MIB)
#define SPILL_PUNCH_BYTES (16ull * MIB)
#define READS_PER_WAKE 16
#define HANG_UP_GRACE_NS 2000000000ull
#define LEAVE_LIMIT_NS 10000000000ull /* for a client that has everything and stays */
#define TERMINAL_RETRY_NS 500000000ull
#define IDLE_AFTER_NS 1000000000ull
#define GATHER_BELOW_BYTES (32 * 1024)
#define GATHER_PAUSE_NS 150000l
#define GATHER_WITHIN_NS 100000ull
