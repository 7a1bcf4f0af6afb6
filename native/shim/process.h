/* One entry per process that the shim looks after: the container's main process and its execs. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "limits.h"
#include "loop.h"
#include "ring.h"

/*
 * FREE is 0 so that unused entries are never written: they cost no memory. The STATE field is the number less
 * 1.
 */
enum process_state {
	PROCESS_FREE = 0,
	PROCESS_NEW = 1,
	PROCESS_STARTING = 2,
	PROCESS_RUNNING = 3,
	PROCESS_ENDED = 4,
	PROCESS_FAILED = 5,
};

struct connection;

struct process {
	enum process_state state;
	char id[MAX_EXEC_ID + 1]; /* "" = the main process */
	pid_t runtime_pid; /* OCI runtime or starter; 0 = none at work */
	pid_t pid; /* 0 = unknown or reaped */
	pid_t known_pid; /* stays after the end, for records */
	bool by_plan; /* a starter of ours, not an OCI runtime */
	bool ended_early; /* with `early_status`, before its start was told */
	int early_status;
	int reports; /* where the starter tells how far it is */
	int network_ready; /* where it is told that its network is there */
	int pidfd;
	uint64_t start_time, started_ns, exited_ns;
	int exit_code, signal;
	bool oom_killed;
	struct connection *requester;
	unsigned requester_generation;
	uint16_t tag;
	char pid_file[MAX_NAME + 1], runtime_log[MAX_NAME + 1], console_name[MAX_CONSOLE_NAME + 1];
	unsigned flags;
	bool terminal, resized, close_stdin;
	uint16_t width, height;
	uid_t stdio_uid; /* whom its pipes belong to: root in its user namespace */
	gid_t stdio_gid;
	int error_fd; /* what failed between fork and exec */
	struct source in, out, err, console;
	struct connection *stdin_owner; /* in the middle of a frame */
	bool paused, streams_ended;
	bool pinned; /* its end is being told: the entry must not be given back yet */
	bool ending; /* its end is being told: it must not be forgotten before that is done */
	uint64_t deadline_ns; /* 0 = none; see stdio_deadline */
	struct ring ring;
	unsigned clients; /* attach connections */
};

void processes_open(void);
struct process *process_main(void);
struct process *process_find(const char *id);
/* A free entry named `id`, or NULL when the table is full. */
struct process *process_reserve(const char *id);
/* Calls for every entry in use. */
void process_each(void (*visit)(struct process *process));
struct process *process_by_pid(pid_t pid);
/* A child that nobody knows yet may be one that is starting. */
bool process_expected(void);
bool process_any_running(void);
/* The number may soon be somebody else's. */
void process_forget_pid(struct process *process);
/* Gives an entry back when nothing needs it any more. */
void process_settle(struct process *process);
