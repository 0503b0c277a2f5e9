// SPDX-License-Identifier: Apache-2.0
// What martlet check does to a handler, and what it sees: its callouts called raw, with command records, vectors and
// memory of the check's own.
//
// Devices and commands go by number, because handlers' threads may name a command long after it has ended: no record
// is ever freed. One process checks one handler.
#ifndef MARTLET_CHANDLERCHECK_H
#define MARTLET_CHANDLERCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "martlet-handler.h"

// Devices at a time.
#define CHECK_DEVICE_LIMIT 4
// Commands at a time.
#define CHECK_COMMAND_LIMIT 512
// Pieces of one command's data.
#define CHECK_PIECE_LIMIT 64

enum check_operation {
    CHECK_READ,
    CHECK_WRITE,
    CHECK_FLUSH,
    CHECK_UNMAP,
    CHECK_WRITE_SAME,
    CHECK_COMPARE_AND_WRITE,
    CHECK_CDB,
    // Of zeroes, without and with MARTLET_WRITE_ZEROES_MAY_UNMAP.
    CHECK_WRITE_ZEROES,
    CHECK_WRITE_ZEROES_MAY_UNMAP
};

// How the memory of a command's data lies. All of it begins on a page.
enum check_memory {
    // Room on both sides that nobody looks at.
    CHECK_ROOMY,
    // Bytes on both sides that must not change, and a source that must not.
    CHECK_WATCHED,
    // It ends where memory that cannot be touched begins: whole pages only.
    CHECK_GUARDED
};

// What a handler did that no answer to a command is. Counted from the first callout on.
enum check_incident {
    CHECK_COMPLETED_TWICE,
    CHECK_COMPLETED_AFTER_CLOSE,
    CHECK_COMPLETED_NOT_ITS_OWN,
    CHECK_COMPLETED_AND_FAILED,
    CHECK_COMPLETED_OTHER_DEVICE,
    CHECK_COMPLETED_NO_COMMAND,
    CHECK_INCIDENT_COUNT
};

// The handler under test: copied. extension: what it was found to offer, zeroed behind its end.
void check_use_handler(const struct tcmur_handler *handler, const struct martlet_handler_extension *extension);

// --- Devices (device.c)

struct check_device_shape {
    uint64_t byte_count;
    uint32_t block_byte_count;
    uint32_t max_transfer_block_count;
    bool write_cache_enabled;
    bool write_protect_enabled;
};

// 0, or an errno value. The device of a number is made once and used again by later opens.
int check_device_create(int device, const char *config_string, const struct check_device_shape *shape);
// What open returned. On 0 the threads that call the handler run.
int check_device_open(int device, bool reopen);
// Waits for no command: all have ended.
void check_device_close(int device);

struct check_attributes {
    uint64_t block_count;
    uint32_t block_byte_count;
    uint32_t max_transfer_length;
    uint32_t max_unmap_length;
    uint32_t optimal_unmap_granularity;
    uint32_t unmap_granularity_alignment;
    bool unmap_enabled;
    bool write_cache_enabled;
};
struct check_attributes check_device_attributes(int device);
// Whether the handler takes batches and gave a descriptor for them.
bool check_device_has_batches(int device);

// reconfig with a new size, or with a type that has no meaning; what it returned.
int check_device_resize(int device, uint64_t byte_count);
int check_device_set_size(int device, uint64_t byte_count);
int check_device_reconfigure(int device, int type);
// What block_status returned.
int check_device_block_status(
    int device, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity);
// What health returned.
int check_device_health(int device, struct martlet_health *answer);
// cancel, for a command that was started; whether it has ended by now or not.
void check_command_cancel(int command);
// What map_read returned.
const void *check_device_map_read(int device, uint64_t offset, uint64_t length);

// check_config: 1 fine, 0 not, and then the reason (or ""), -1 when the handler has none.
int check_config_string(const char *config_string, char *reason, size_t reason_size);

// --- Commands (command.c)

// A new command; -1 when CHECK_COMMAND_LIMIT are there. Offsets and counts in bytes. `length`: of the extent.
// piece_count: elements that the data is cut into, each of `piece_multiple` bytes or more.
int check_command_make(
    int device, enum check_operation operation, uint64_t offset, uint64_t length, size_t data_byte_count,
    enum check_memory memory, size_t piece_count, size_t piece_multiple);
void check_command_set_cdb(int command, const uint8_t *cdb, size_t byte_count);
void check_command_set_data(int command, const uint8_t *bytes, size_t byte_count);
void check_command_get_data(int command, uint8_t *bytes, size_t byte_count);
void check_command_fill(int command, uint8_t value);
// Gives it to the threads that call the handler.
void check_command_start(int command);
// Gives `count` commands at once, so that a handler that takes batches has one.
void check_commands_start(const int *commands, size_t count);
// Whether it ended within so many milliseconds.
bool check_command_wait(int command, unsigned milliseconds);
int check_command_status(int command);
// Whether the handler still is inside the callout.
bool check_command_is_in_callout(int command);
void check_command_get_sense(int command, uint8_t *bytes, size_t byte_count);
// Bytes changed outside the data (watched memory), counted; -1: the source of a write changed.
long check_command_damage(int command, long *first_offset);
// The record may be used again.
void check_command_release(int command);

unsigned long check_incident_count(enum check_incident incident);
// The first of its kind, in words.
void check_incident_text(enum check_incident incident, char *text, size_t size);

// --- This process (process.c, crash.c)

// Lines to the parent go to `descriptor`; a fault in guarded memory is told there before the process ends.
void check_report_to(int descriptor, bool catches_faults);
// One line, KIND TAB RULE TAB TEXT; control characters become blanks.
void check_report(const char *kind, const char *rule, const char *text);

// Blocks the calling thread for so long: for what only time shows, such as a completion that comes too late.
void check_pause(unsigned milliseconds);

// -1 where it cannot be known.
long check_open_descriptor_count(void);
long check_thread_count(void);
long check_allocated_byte_count(void);
long check_resident_byte_count(void);

// What a handler must leave alone, as text that two calls can be compared by.
void check_process_state(char *text, size_t size);
// Bytes of the file, and a digest of them; -1 when it cannot be read.
long check_file_digest(const char *path, uint64_t *digest);

// --- A child (child.c)

struct check_child_outcome {
    // As waitpid(2) gives it.
    int wait_status;
    bool timed_out;
    double processor_seconds;
    // Each NUL-terminated, cut at a limit, and to be freed by check_child_free.
    char *lines;
    char *output;
    char *errors;
};

// Runs argv[0] with `variables` (NAME=VALUE) added to the environment, standard input empty, and the descriptor 3 for
// its lines. 0, or an errno value. Kills its process group when the time is over.
int check_child_run(
    const char *const *argv, const char *const *variables, unsigned milliseconds, struct check_child_outcome *outcome);
void check_child_free(struct check_child_outcome *outcome);
char *check_copy_string(const char *string);
void check_free_string(char *string);

// --- What the handler does to its store (recorder.c)

enum check_store_event { CHECK_STORE_WRITE, CHECK_STORE_SYNC };

// Has the handler's own imports of pwrite, fsync and their like go through the recorder. How many were found.
int check_record_store(const char *library_path);
// Events so far.
unsigned long check_store_event_count(void);
// Of the writes among the events [first, last): those to a file that no successful sync among the events up to
// `end` follows, and that do not themselves wait for the store. `writes`, `syncs`: how many were seen at all.
struct check_store_judgement {
    unsigned long writes;
    unsigned long syncs;
    unsigned long failed_syncs;
    unsigned long uncovered_writes;
};
struct check_store_judgement check_judge_store(unsigned long first, unsigned long last, unsigned long end);

#endif
