/* Job: the control role of a connection: requests in, replies and events out. */
#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../launcher/report.h"
#include "attach.h"
#include "connection.h"
#include "console.h"
#include "early-starter.h"
#include "exit.h"
#include "inherited.h"
#include "log.h"
#include "oom.h"
#include "prewarm.h"
#include "process.h"
#include "protocol.h"
#include "record.h"
#include "runtime.h"
#include "scratch.h"
#include "starter.h"
#include "stdio-streams.h"

#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

static struct writer writer = {.bytes = scratch.reply, .capacity = sizeof(scratch.reply)};
static bool released;

static void begin(uint8_t type, uint16_t tag) {
	writer.length = 0;
	frame_begin(&writer, type, tag);
}

static void send_to(struct connection *connection) {
	frame_end(&writer);
	connection_queue(connection, &writer);
}

static void send_if_control(struct connection *connection) {
	if (connection->role == ROLE_CONTROL)
		connection_queue(connection, &writer);
}

static void broadcast(void) {
	frame_end(&writer);
	connection_each(send_if_control);
}

static void ok(struct connection *connection, uint16_t tag) {
	begin(FRAME_OK, tag);
	send_to(connection);
}

static void refuse(struct connection *connection, uint16_t tag, int error, const char *message) {
	begin(FRAME_ERROR, tag);
	put_int(&writer, FIELD_ERRNO, (uint64_t)error);
	put_text(&writer, FIELD_MESSAGE, message);
	send_to(connection);
}

static void answer(struct connection *connection, uint16_t tag, int error, const char *message) {
	if (error)
		refuse(connection, tag, error, message);
	else
		ok(connection, tag);
}

static void put_id(const struct process *process) {
	if (process->id[0])
		put_text(&writer, FIELD_EXEC_ID, process->id);
}

static void put_end(const struct process *process) {
	put_int(&writer, FIELD_EXIT_CODE, (uint64_t)process->exit_code);
	put_int(&writer, FIELD_SIGNAL, (uint64_t)process->signal);
	if (process == process_main())
		put_int(&writer, FIELD_OOM_KILLED, process->oom_killed);
	put_int(&writer, FIELD_TIME_NS, process->exited_ns);
}

static void put_exec_state(struct process *process) {
	if (process == process_main() || (process->state != PROCESS_STARTING && process->state != PROCESS_RUNNING))
		return;
	uint16_t tag = (uint16_t)(scratch.reply[6] | scratch.reply[7] << 8);
	if (writer.capacity - writer.length < 256)
		return;
	frame_begin(&writer, FRAME_EXEC_STATE, tag);
	put_id(process);
	put_int(&writer, FIELD_PID, (uint64_t)process->pid);
	put_int(&writer, FIELD_TIME_NS, process->started_ns);
	frame_end(&writer);
}

static void hello(struct connection *connection, uint16_t tag) {
	const struct process *init = process_main();
	begin(FRAME_HELLO, tag);
	put_int(&writer, FIELD_VERSION, PROTOCOL_VERSION);
	put_int(&writer, FIELD_STATE, (uint64_t)(init->state - PROCESS_NEW));
	put_int(&writer, FIELD_PID, (uint64_t)getpid());
	put_int(&writer, FIELD_START_TIME, record_shim_start_time());
	frame_end(&writer);
	if (init->state >= PROCESS_RUNNING) {
		frame_begin(&writer, FRAME_INIT, tag);
		put_int(&writer, FIELD_PID, (uint64_t)init->known_pid);
		put_int(&writer, FIELD_START_TIME, init->start_time);
		put_int(&writer, FIELD_TIME_NS, init->started_ns);
		if (init->state >= PROCESS_ENDED)
			put_end(init);
		frame_end(&writer);
	}
	process_each(put_exec_state);
	frame_begin(&writer, FRAME_OK, tag);
	send_to(connection);
}

/* Who asked for it, unless the connection is gone. */
static struct connection *take_requester(struct process *process) {
	struct connection *connection = process->requester;
	process->requester = NULL;
	bool same = connection && connection->generation == process->requester_generation;
	return same && connection->role == ROLE_CONTROL ? connection : NULL;
}

static void control_started(struct process *process) {
	struct connection *connection = take_requester(process);
	if (!connection)
		return;
	begin(FRAME_STARTED, process->tag);
	put_id(process);
	put_int(&writer, FIELD_PID, (uint64_t)process->known_pid);
	put_int(&writer, FIELD_START_TIME, process->start_time);
	put_int(&writer, FIELD_TIME_NS, process->started_ns);
	send_to(connection);
}

static void put_stderr(const struct process *process) {
	uint8_t *text = scratch.runtime_stderr;
	ssize_t got = process->err.fd < 0 ? 0 : read(process->err.fd, text, sizeof(scratch.runtime_stderr));
	size_t length = got < 0 ? 0 : (size_t)got;
	size_t kept = length < STDERR_TAIL_BYTES ? length : STDERR_TAIL_BYTES;
	put_bytes(&writer, FIELD_STDERR_TAIL, text + length - kept, kept);
}

static void put_operation(const struct launch_failure *failure) {
	put_int(&writer, FIELD_ERRNO, (uint64_t)failure->error);
	put_bytes(&writer, FIELD_MESSAGE, failure->step, strnlen(failure->step, sizeof(failure->step)));
	put_int(&writer, FIELD_LIST, failure->list);
	put_int(&writer, FIELD_INDEX, failure->index);
	put_int(&writer, FIELD_CODE, failure->code);
	put_bytes(&writer, FIELD_OBJECT, failure->object, strnlen(failure->object, sizeof(failure->object)));
	if (failure->status)
		put_int(&writer, FIELD_WAIT_STATUS, (uint64_t)failure->status);
}

static void control_failed(struct process *process, int status, const struct start_failure *failure) {
	struct connection *connection = take_requester(process);
	if (!connection)
		return;
	begin(FRAME_FAILED, process->tag);
	put_id(process);
	put_int(&writer, FIELD_RUNTIME_STATUS, (uint64_t)status);
	size_t tail_length = record_tail(process->runtime_log, scratch.runtime_log, sizeof(scratch.runtime_log));
	put_bytes(&writer, FIELD_LOG_TAIL, scratch.runtime_log, tail_length);
	put_stderr(process);
	if (failure->operation) {
		put_operation(failure->operation);
	} else if (failure->error) {
		put_int(&writer, FIELD_ERRNO, (uint64_t)failure->error);
		put_text(&writer, FIELD_MESSAGE, failure->step);
	}
	send_to(connection);
}

static void control_exit(const struct process *process) {
	begin(process == process_main() ? FRAME_EXIT : FRAME_EXEC_EXIT, 0);
	put_id(process);
	put_int(&writer, FIELD_PID, (uint64_t)process->known_pid);
	put_end(process);
	broadcast();
}

static void control_oom(uint64_t count) {
	begin(FRAME_OOM, 0);
	put_int(&writer, FIELD_COUNT, count);
	broadcast();
}

bool control_released(void) {
	return released;
}

static bool strings_valid(const struct frame *frame) {
	struct field field;
	size_t offset = 0, arguments = 0, variables = 0, bytes = 0;
	while (field_next(frame, &offset, &field) == 1) {
		if (field.number != FIELD_ARGV && field.number != FIELD_ENV)
			continue;
		if (memchr(field.data, 0, field.length))
			return false;
		bytes += field.length + 1;
		arguments += field.number == FIELD_ARGV;
		variables += field.number == FIELD_ENV;
	}
	return arguments >= 1 && arguments <= MAX_ARGUMENTS && variables <= MAX_ARGUMENTS &&
		bytes <= MAX_RUNTIME_BYTES;
}

/* Whoever has a plan says nothing to an OCI runtime. */
static bool prepare_way(struct process *process, const struct frame *frame) {
	process->by_plan = field_has(frame, FIELD_PLAN);
	if (process->by_plan) {
		process->terminal = (process->flags & START_TERMINAL) != 0;
		return true;
	}
	if (!strings_valid(frame) ||
		!field_text(frame, FIELD_PID_FILE, process->pid_file, sizeof(process->pid_file)) ||
		!field_text(frame, FIELD_RUNTIME_LOG, process->runtime_log, sizeof(process->runtime_log)) ||
		!field_text(frame, FIELD_CONSOLE_SOCKET, process->console_name, sizeof(process->console_name)))
		return false;
	process->terminal = process->console_name[0] != 0;
	return process->pid_file[0] != 0;
}

/* Reads what START and EXEC have in common. */
static bool prepare(struct process *process, const struct frame *frame) {
	process->flags = (unsigned)field_int(frame, FIELD_FLAGS, 0);
	if (!prepare_way(process, frame))
		return false;
	/* An exec's are those of its container. */
	process->stdio_uid = (uid_t)field_int(frame, FIELD_STDIO_UID, process_main()->stdio_uid);
	process->stdio_gid = (gid_t)field_int(frame, FIELD_STDIO_GID, process_main()->stdio_gid);
	if (field_has(frame, FIELD_WIDTH)) {
		process->resized = true;
		process->width = (uint16_t)field_int(frame, FIELD_WIDTH, 0);
		process->height = (uint16_t)field_int(frame, FIELD_HEIGHT, 0);
	}
	return true;
}

static int prepare_main(const struct frame *frame) {
	struct scratch *to = &scratch;
	if (!field_text(frame, FIELD_LOG_PATH, to->log_path, sizeof(to->log_path)) ||
		!field_text(frame, FIELD_LOG_ATTRS, to->log_attrs, sizeof(to->log_attrs)) ||
		!field_text(frame, FIELD_OOM_V1_DIR, to->oom_v1, sizeof(to->oom_v1)) ||
		!field_text(frame, FIELD_OOM_V2_DIR, to->oom_v2, sizeof(to->oom_v2)) ||
		!field_text(frame, FIELD_SPILL_DIR, to->spill_directory, sizeof(to->spill_directory)))
		return EINVAL;
	struct log_options options = {
		.path = to->log_path,
		.attrs = to->log_attrs,
		.max_size_bytes = field_int(frame, FIELD_LOG_MAX_SIZE, 0),
		.max_files = field_int(frame, FIELD_LOG_MAX_FILE, 1),
	};
	int error = log_open(&options);
	oom_remember(to->oom_v1, to->oom_v2);
	char *slash = strrchr(to->log_path, '/');
	if (slash)
		*slash = 0;
	const char *directory = to->spill_directory[0] ? to->spill_directory : to->log_path;
	ring_limits(field_int(frame, FIELD_SPILL_LIMIT, SPILL_DEFAULT_BYTES), directory);
	return error;
}

static int take_netns(const struct frame *frame) {
	char path[MAX_NETNS_PATH];
	if (!field_has(frame, FIELD_NETNS_PATH))
		return 0;
	return field_text(frame, FIELD_NETNS_PATH, path, sizeof(path)) ? inherited_take_netns(path) : EINVAL;
}

static void launch(struct connection *connection, const struct frame *frame, struct process *process) {
	const char *step = "network namespace";
	process->state = PROCESS_STARTING;
	process->requester = connection;
	process->requester_generation = connection->generation;
	process->tag = frame->tag;
	int error = take_netns(frame);
	if (!error && process == process_main()) {
		step = "log file";
		error = prepare_main(frame);
	}
	if (!process->by_plan)
		early_starter_dismiss();
	if (!error)
		error = process->by_plan ? starter_spawn(process, frame, &step) : runtime_spawn(process, frame, &step);
	if (error)
		exit_failed_start(process, error, step);
}

static void start(struct connection *connection, const struct frame *frame) {
	struct process *process = process_main();
	if (process->state != PROCESS_NEW || released)
		refuse(connection, frame->tag, EALREADY, "start");
	else if (!inherited_is_assigned() || !prepare(process, frame))
		refuse(connection, frame->tag, EINVAL, "start");
	else
		launch(connection, frame, process);
}

static void exec(struct connection *connection, const struct frame *frame) {
	char id[MAX_EXEC_ID + 1];
	if (!field_text(frame, FIELD_EXEC_ID, id, sizeof(id)) || id[0] == 0) {
		refuse(connection, frame->tag, EINVAL, "exec");
		return;
	}
	struct process *process = process_find(id);
	if (process_main()->state != PROCESS_RUNNING) {
		refuse(connection, frame->tag, ESRCH, "exec");
		return;
	}
	if (process && process->state != PROCESS_NEW) {
		refuse(connection, frame->tag, EEXIST, "exec");
		return;
	}
	if (!process)
		process = process_reserve(id);
	if (!process) {
		refuse(connection, frame->tag, EAGAIN, "exec");
	} else if (!prepare(process, frame)) {
		refuse(connection, frame->tag, EINVAL, "exec");
		process->streams_ended = true;
		attach_progress(process);
		process_settle(process);
	} else {
		if (!process->by_plan)
			prewarm_cgroups();
		launch(connection, frame, process);
	}
}

static struct process *addressed(const struct frame *frame) {
	char id[MAX_EXEC_ID + 1];
	return field_text(frame, FIELD_EXEC_ID, id, sizeof(id)) ? process_find(id) : NULL;
}

static int send_signal(const struct process *process, uint64_t number) {
	if (number == 0 || number > 64)
		return EINVAL;
	if (process->state != PROCESS_RUNNING || process->pidfd < 0)
		return ESRCH;
	return syscall(SYS_pidfd_send_signal, process->pidfd, (int)number, NULL, 0) < 0 ? errno : 0;
}

static int resize(struct process *process, const struct frame *frame) {
	unsigned width = (unsigned)field_int(frame, FIELD_WIDTH, 0);
	unsigned height = (unsigned)field_int(frame, FIELD_HEIGHT, 0);
	return console_resize(process, width, height);
}

static int close_input(struct process *process) {
	if (process->state >= PROCESS_ENDED)
		return ESRCH;
	process->close_stdin = true;
	if (process->state == PROCESS_RUNNING && !process->terminal)
		stdin_close(process);
	return 0;
}

/* Its end is answered as that of any other start that fails. */
static int cancel(const struct process *process) {
	if (process->state != PROCESS_STARTING || process->runtime_pid <= 0)
		return ESRCH;
	kill(process->runtime_pid, SIGKILL);
	if (process->pidfd >= 0)
		syscall(SYS_pidfd_send_signal, process->pidfd, SIGKILL, NULL, 0);
	return 0;
}

static void assign(struct connection *connection, const struct frame *frame) {
	const char *step = "assigned";
	int error = inherited_is_assigned() || released ? EALREADY : inherited_assign(frame, &step);
	if (!error && (field_int(frame, FIELD_FLAGS, 0) & ASSIGN_RUNTIME) != 0)
		prewarm_cgroups();
	answer(connection, frame->tag, error, step);
}

static void release(struct connection *connection, uint16_t tag) {
	struct process *process = process_main();
	if (process->state == PROCESS_STARTING || process->state == PROCESS_RUNNING) {
		refuse(connection, tag, EBUSY, "release");
		return;
	}
	released = true;
	listen_close();
	if (inherited_is_assigned())
		record_remove_shim();
	if (process->state == PROCESS_NEW) {
		process->state = PROCESS_FAILED;
		stdio_close(process);
		attach_progress(process);
	}
	inherited_drop_rootfs();
	inherited_drop_ports();
	ok(connection, tag);
}

static enum handled control_frame(struct connection *connection, const struct frame *frame) {
	struct process *process = addressed(frame);
	int error = ESRCH;
	switch (frame->type) {
	case FRAME_CONTROL:
	case FRAME_STATUS:
		hello(connection, frame->tag);
		break;
	case FRAME_ASSIGN:
		assign(connection, frame);
		break;
	case FRAME_NETWORK_READY:
		answer(connection, frame->tag, starter_network_ready(process_main()), "network ready");
		break;
	case FRAME_START:
		start(connection, frame);
		break;
	case FRAME_EXEC:
		exec(connection, frame);
		break;
	case FRAME_RESIZE:
		if (process)
			error = resize(process, frame);
		answer(connection, frame->tag, error, "resize");
		break;
	case FRAME_SIGNAL:
		if (process)
			error = send_signal(process, field_int(frame, FIELD_SIGNAL, 0));
		answer(connection, frame->tag, error, "signal");
		break;
	case FRAME_CLOSE_STDIN:
		if (process)
			error = close_input(process);
		answer(connection, frame->tag, error, "close stdin");
		break;
	case FRAME_CANCEL:
		if (process)
			error = cancel(process);
		answer(connection, frame->tag, error, "cancel");
		break;
	case FRAME_RELEASE:
		release(connection, frame->tag);
		break;
	default:
		refuse(connection, frame->tag, ENOSYS, "request");
	}
	return HANDLED;
}

void control_open(void) {
	static const struct role_work work = {.frame = control_frame};
	static const struct exit_listener listener = {
		.started = control_started,
		.failed = control_failed,
		.ended = control_exit,
	};
	connection_serve(ROLE_CONTROL, &work);
	exit_listen(&listener);
	oom_listen(control_oom);
}
