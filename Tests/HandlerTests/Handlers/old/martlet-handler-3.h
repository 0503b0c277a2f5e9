/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The second door, for what tcmu-runner.h cannot say. A handler may also export
 *
 *     const struct martlet_handler_extension *martlet_handler_extension(void);
 *
 * It still loads in tcmu-runner, which does not look for that symbol; so what stands behind it may use tcmu-runner's
 * functions only. The host asks once, after handler_init, and keeps the pointer as long as the process lives.
 *
 * Structures begin with their size and only ever grow at the end. Each side uses what lies within the smaller of the
 * size that it was built with and the size that it is shown; the rest counts as zero.
 */
#ifndef MARTLET_HANDLER_H
#define MARTLET_HANDLER_H

#include <stddef.h>
#include <stdint.h>

#include "tcmu-runner.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MARTLET_HANDLER_EXTENSION_SYMBOL "martlet_handler_extension"
#define MARTLET_HANDLER_EXTENSION_VERSION 3u

/* Bytes of the table as each version has it. */
#define MARTLET_HANDLER_EXTENSION_SIZE_1 32u
#define MARTLET_HANDLER_EXTENSION_SIZE_2 64u
#define MARTLET_HANDLER_EXTENSION_SIZE_3 88u

/* Flags of a handler. Bits not named here are zero. */

/* What was unmapped reads as zeroes until it is written again. */
#define MARTLET_HANDLER_UNMAPPED_READS_ZERO (1u << 0)
/* With nr_threads 0: no I/O callout waits for a device, a network or another command, so the host's event loops may
   call it themselves. */
#define MARTLET_HANDLER_NEVER_BLOCKS (1u << 1)
/* read and write take any number of iovec elements, of any whole number of blocks each, every one page-aligned: the
   host may merge adjacent commands into one callout. */
#define MARTLET_HANDLER_VECTORED (1u << 2)
/* When write returns it has taken all of its data, from memory of any alignment: with MARTLET_HANDLER_NEVER_BLOCKS the
   host may show it the buffer in which they were received. */
#define MARTLET_HANDLER_WRITE_COPIES (1u << 3)
/* Since version 3. write_zeroes with MARTLET_WRITE_ZEROES_MAY_UNMAP takes storage away where it can, and what has no
   storage, never written or taken away, reads as zeroes. The host then does UNMAP with write_zeroes, and reports that
   unmapped blocks read as zeroes; unmap is not called and may be NULL. For stores whose unmap may leave parts of a
   range as they were. */
#define MARTLET_HANDLER_ZEROING_UNMAPS (1u << 4)

/* Flags of a probe's answer. */

/* The store is missing, and open will create it with the size that the device is configured with. */
#define MARTLET_PROBE_WILL_CREATE (1u << 0)
/* The store can only be read. */
#define MARTLET_PROBE_READ_ONLY (1u << 1)

#define MARTLET_PROBE_REASON_SIZE 256

/* What a handler says of a store before it is opened. The host sets size and zeroes the rest. */
struct martlet_probe {
    size_t size;
    /* Bytes of the medium; 0: not known, the device's size must be configured. */
    uint64_t byte_count;
    /* Bytes of a block; 0: any. */
    uint32_t block_byte_count;
    /* MARTLET_PROBE_*. */
    uint32_t flags;
    /* Why the answer is an error: one sentence, NUL-terminated, without a full stop. */
    char reason[MARTLET_PROBE_REASON_SIZE];
};

/* Flags of an extent. */

/* Blocks have storage behind them. Without it they are unmapped. */
#define MARTLET_EXTENT_MAPPED (1u << 0)

struct martlet_extent {
    /* Bytes, not zero, a multiple of the block size. */
    uint64_t byte_count;
    /* MARTLET_EXTENT_*. */
    uint32_t flags;
    uint32_t reserved;
};

/* Flags of write_zeroes. A handler ignores those that its version does not name. */

/* The range need not have storage afterwards. Without it the range has: a later write of it needs no new space, as far
   as the store can promise that. */
#define MARTLET_WRITE_ZEROES_MAY_UNMAP (1u << 0)

/* How well a device is. */

#define MARTLET_HEALTH_GOOD 0u
/* It serves every command, with less than its whole self: a mirror's half, a fall-back, a slow link. */
#define MARTLET_HEALTH_DEGRADED 1u
/* Commands fail, or what was acknowledged may be lost. */
#define MARTLET_HEALTH_FAILED 2u

#define MARTLET_HEALTH_REASON_SIZE 256

/* A handler's answer to how a device is. The host sets size and zeroes the rest. */
struct martlet_health {
    size_t size;
    /* MARTLET_HEALTH_*. */
    uint32_t state;
    uint32_t reserved;
    /* Why it is not good: one sentence, NUL-terminated, without a full stop. */
    char reason[MARTLET_HEALTH_REASON_SIZE];
};

struct martlet_handler_extension {
    size_t size;
    uint32_t version;
    /* MARTLET_HANDLER_*. */
    uint32_t flags;

    /*
     * Looks at the store of "subtype/rest" without changing it. May block; called from any thread, also while devices
     * of the same store are open. 0, or -errno with a reason.
     */
    int (*probe)(const char *cfgstring, struct martlet_probe *answer);

    /*
     * The state of length bytes from offset on: writes up to capacity extents, the first beginning at offset, each
     * where the last one ended, and returns their number, at least 1; or -errno. They may cover less than asked, and
     * the last may reach beyond. Called as unmap is, on one of the device's threads when nr_threads > 0.
     */
    int (*block_status)(
        struct tcmu_device *dev, uint64_t offset, uint64_t length, struct martlet_extent *extents, size_t capacity);

    /* Since version 2. */

    /*
     * Where length bytes of the medium from offset on stand in memory, for reads that need no copy. The memory stays
     * readable, without faults, until close returns; what it holds may change with later writes. NULL: the host calls
     * read. Never blocks; called from any thread; the range lies in the medium. A pointer is no promise for other
     * ranges, nor for the same one later. The device of a handler that has it is never closed to be opened again.
     */
    const void *(*map_read)(struct tcmu_device *dev, uint64_t offset, uint64_t length);

    /*
     * Batches, for handlers with nr_threads 0 and MARTLET_HANDLER_NEVER_BLOCKS; all three callouts or none.
     *
     * The host calls completion_descriptor once after each successful open, before any I/O. Whoever calls it promises
     * to call submit after every batch of callouts, and reap whenever the descriptor becomes readable. A host that
     * does not know it (tcmu-runner, an older Martlet) never calls it: then the handler must start each command at
     * once and complete it from a thread of its own. Returns a descriptor (the handler's, open until close, readable
     * while there are completions to take), or -errno: then the host behaves as one that does not know it.
     */
    int (*completion_descriptor)(struct tcmu_device *dev);
    /* Starts what the callouts since the last submit have queued, with as few system calls as can be. Any thread,
       several at a time; never blocks. A command may also start earlier. */
    void (*submit)(struct tcmu_device *dev);
    /* Takes the completions that are there: calls tcmur_cmd_complete for each. Any thread, one at a time; never
       blocks. Returns the number of commands completed. */
    size_t (*reap)(struct tcmu_device *dev);

    /* Since version 3. */

    /*
     * Writes zeroes: when it has ended well, all length bytes from offset on read as zeroes, with storage or without
     * as the flags (MARTLET_WRITE_ZEROES_*) have it. The range lies in the medium, in whole blocks, and may be as long
     * as the medium. Called, answered and completed as unmap is, with submit after it where the handler takes batches.
     * A store that has no call of its own for it writes the zeroes, or leaves this NULL: then the host does.
     */
    int (*write_zeroes)(
        struct tcmu_device *dev, struct tcmur_cmd *cmd, uint64_t offset, uint64_t length, uint32_t flags);

    /*
     * The end of cmd is wanted soon: its initiator has aborted it, or it is late (the device's time-out). Best effort:
     * a handler may do nothing, or end the command early with any status but TCMU_STS_OK (TCMU_STS_TIMEOUT says it
     * best). Either way the command ends exactly once, as ever; a command that was done all the same ends with
     * TCMU_STS_OK. Until it ends, its data stay where they are.
     *
     * Any thread, also while other callouts run; never blocks. cmd is the pointer that the callout was given, and is
     * not used for another command before cancel returns. But the handler may have ended cmd just now, or may not have
     * been given it yet: it looks cmd up among its own, and does nothing when it is not there. It may complete cmd from
     * inside. Not called for a command that shares a merged callout with others.
     */
    void (*cancel)(struct tcmu_device *dev, struct tcmur_cmd *cmd);

    /*
     * How the device is. Any thread, while it is open; never blocks: it tells what is known, and looks at nothing.
     * 0, or -errno when nothing is known.
     */
    int (*health)(struct tcmu_device *dev, struct martlet_health *answer);
};

/* What the symbol names. */
typedef const struct martlet_handler_extension *(*martlet_handler_extension_function)(void);

/* For handlers. */

/* tcmu-runner has it since 1.6.0 only; a weak import lets a handler load in 1.5.4, too. */
bool tcmu_dev_get_write_protect_enabled(struct tcmu_device *dev) __attribute__((weak));

/* Whether the device is configured to be read only: ask in open. */
static inline bool martlet_device_is_write_protected(struct tcmu_device *dev)
{
    return tcmu_dev_get_write_protect_enabled != NULL && tcmu_dev_get_write_protect_enabled(dev);
}

/* A message as it stands, for languages that cannot call variadic functions. severity: TCMU_LOG_*. */
static inline void martlet_log(int severity, struct tcmu_device *dev, const char *text)
{
    if (severity <= TCMU_LOG_ERROR)
        tcmu_err_message(dev, __func__, __LINE__, "%s\n", text);
    else if (severity <= TCMU_LOG_WARN)
        tcmu_warn_message(dev, __func__, __LINE__, "%s\n", text);
    else if (severity <= TCMU_LOG_INFO)
        tcmu_info_message(dev, __func__, __LINE__, "%s\n", text);
    else
        tcmu_dbg_message(dev, __func__, __LINE__, "%s\n", text);
}

#ifdef __cplusplus
}
#endif

#endif
