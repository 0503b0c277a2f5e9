// SPDX-License-Identifier: Apache-2.0
// Sees what the handler does to its store: the entries of its own table of imported functions for pwrite, fsync and
// their like are pointed here, and pass on to what stood there before. Nothing else of the process is touched.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine.h"

#define EVENT_LIMIT 65536

struct store_event {
    enum check_store_event kind;
    dev_t device;
    ino_t inode;
    bool failed;
    // The descriptor was opened so that a write waits for the store.
    bool is_synchronous;
};

static struct store_event events[EVENT_LIMIT];
static unsigned long event_count;
static pthread_mutex_t event_lock = PTHREAD_MUTEX_INITIALIZER;

// errno stays what the recorded call made it.
static void record(enum check_store_event kind, int descriptor, bool failed) {
    int error = errno;
    struct stat status;
    if (fstat(descriptor, &status) == 0 && (S_ISREG(status.st_mode) || S_ISBLK(status.st_mode))) {
        int flags = fcntl(descriptor, F_GETFL);
        pthread_mutex_lock(&event_lock);
        if (event_count < EVENT_LIMIT)
            events[event_count++] = (struct store_event){
                .kind = kind,
                .device = S_ISBLK(status.st_mode) ? status.st_rdev : status.st_dev,
                .inode = status.st_ino,
                .failed = failed,
                .is_synchronous = flags >= 0 && (flags & O_DSYNC) != 0,
            };
        pthread_mutex_unlock(&event_lock);
    }
    errno = error;
}

// libaio's block, as far as it is looked at (linux/aio_abi.h).
struct io_block {
    uint64_t data;
    uint32_t key;
    uint32_t flags;
    uint16_t opcode;
    int16_t priority;
    uint32_t descriptor;
};
enum { AIO_PWRITE = 1, AIO_FSYNC = 2, AIO_FDSYNC = 3, AIO_PWRITEV = 8 };

static struct {
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    ssize_t (*pwrite64)(int, const void *, size_t, off_t);
    ssize_t (*pwritev)(int, const struct iovec *, int, off_t);
    ssize_t (*pwritev64)(int, const struct iovec *, int, off_t);
    ssize_t (*write)(int, const void *, size_t);
    ssize_t (*writev)(int, const struct iovec *, int);
    int (*fsync)(int);
    int (*fdatasync)(int);
    int (*io_submit)(void *, long, struct io_block **);
} real;

#define WRITER(name, parameters, arguments)                              \
    static ssize_t seen_##name parameters {                              \
        ssize_t result = real.name arguments;                            \
        if (result != 0) record(CHECK_STORE_WRITE, descriptor, result < 0); \
        return result;                                                   \
    }
WRITER(pwrite, (int descriptor, const void *data, size_t count, off_t offset), (descriptor, data, count, offset))
WRITER(pwrite64, (int descriptor, const void *data, size_t count, off_t offset), (descriptor, data, count, offset))
WRITER(
    pwritev, (int descriptor, const struct iovec *data, int count, off_t offset), (descriptor, data, count, offset))
WRITER(
    pwritev64, (int descriptor, const struct iovec *data, int count, off_t offset), (descriptor, data, count, offset))
WRITER(write, (int descriptor, const void *data, size_t count), (descriptor, data, count))
WRITER(writev, (int descriptor, const struct iovec *data, int count), (descriptor, data, count))

#define SYNCER(name)                                                     \
    static int seen_##name(int descriptor) {                             \
        int result = real.name(descriptor);                              \
        record(CHECK_STORE_SYNC, descriptor, result != 0);               \
        return result;                                                   \
    }
SYNCER(fsync)
SYNCER(fdatasync)

static int seen_io_submit(void *context, long count, struct io_block **blocks) {
    int result = real.io_submit(context, count, blocks);
    for (long index = 0; index < result; index++) {
        switch (blocks[index]->opcode) {
        case AIO_PWRITE:
        case AIO_PWRITEV: record(CHECK_STORE_WRITE, (int)blocks[index]->descriptor, false); break;
        case AIO_FSYNC:
        case AIO_FDSYNC: record(CHECK_STORE_SYNC, (int)blocks[index]->descriptor, false); break;
        }
    }
    return result;
}

static const struct {
    const char *name;
    void *seen;
    void **real;
} imports[] = {
#define IMPORT(name) {#name, (void *)seen_##name, (void **)&real.name}
    IMPORT(pwrite), IMPORT(pwrite64), IMPORT(pwritev),   IMPORT(pwritev64), IMPORT(write),
    IMPORT(writev), IMPORT(fsync),    IMPORT(fdatasync), IMPORT(io_submit),
};

#if defined(__x86_64__)
#define IS_FUNCTION_SLOT(type) ((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT)
#elif defined(__aarch64__)
#define IS_FUNCTION_SLOT(type) ((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT)
#else
#define IS_FUNCTION_SLOT(type) ((void)(type), 0)
#endif

// Points the slot at ours. RELRO has made its page read-only: it is written, and made read-only again.
static bool redirect(void **slot, size_t index) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *start = (void *)((uintptr_t)slot & ~(page - 1));
    if (mprotect(start, page, PROT_READ | PROT_WRITE) != 0) return false;
    // Handlers are loaded with RTLD_NOW: the slot holds the function itself.
    if (*slot != imports[index].seen) *imports[index].real = *slot;
    *slot = imports[index].seen;
    return true;
}

static int redirect_all(ElfW(Addr) base, const ElfW(Rela) *entries, size_t byte_count, const ElfW(Sym) *symbols,
                        const char *names) {
    int count = 0;
    for (size_t entry = 0; entry < byte_count / sizeof(*entries); entry++) {
        if (!IS_FUNCTION_SLOT(ELF64_R_TYPE(entries[entry].r_info))) continue;
        const char *name = names + symbols[ELF64_R_SYM(entries[entry].r_info)].st_name;
        for (size_t index = 0; index < sizeof(imports) / sizeof(*imports); index++)
            if (strcmp(name, imports[index].name) == 0)
                count += redirect((void **)(base + entries[entry].r_offset), index);
    }
    return count;
}

int check_record_store(const char *library_path) {
    void *library = dlopen(library_path, RTLD_LAZY | RTLD_NOLOAD);
    struct link_map *map = NULL;
    if (library == NULL || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return 0;
    const ElfW(Rela) *plt = NULL, *others = NULL;
    size_t plt_byte_count = 0, others_byte_count = 0;
    const ElfW(Sym) *symbols = NULL;
    const char *names = NULL;
    for (const ElfW(Dyn) *entry = map->l_ld; entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL: plt = (const void *)entry->d_un.d_ptr; break;
        case DT_PLTRELSZ: plt_byte_count = entry->d_un.d_val; break;
        case DT_RELA: others = (const void *)entry->d_un.d_ptr; break;
        case DT_RELASZ: others_byte_count = entry->d_un.d_val; break;
        case DT_SYMTAB: symbols = (const void *)entry->d_un.d_ptr; break;
        case DT_STRTAB: names = (const void *)entry->d_un.d_ptr; break;
        }
    }
    if (symbols == NULL || names == NULL) return 0;
    return redirect_all(map->l_addr, plt, plt == NULL ? 0 : plt_byte_count, symbols, names) +
           redirect_all(map->l_addr, others, others == NULL ? 0 : others_byte_count, symbols, names);
}

unsigned long check_store_event_count(void) {
    pthread_mutex_lock(&event_lock);
    unsigned long count = event_count;
    pthread_mutex_unlock(&event_lock);
    return count;
}

static bool is_covered(unsigned long write, unsigned long end) {
    if (events[write].is_synchronous) return true;
    for (unsigned long index = write + 1; index < end; index++)
        if (events[index].kind == CHECK_STORE_SYNC && !events[index].failed &&
            events[index].device == events[write].device && events[index].inode == events[write].inode)
            return true;
    return false;
}

struct check_store_judgement check_judge_store(unsigned long first, unsigned long last, unsigned long end) {
    struct check_store_judgement judgement = {0};
    pthread_mutex_lock(&event_lock);
    for (unsigned long index = first; index < end; index++) {
        if (events[index].kind == CHECK_STORE_SYNC) {
            judgement.syncs++;
            judgement.failed_syncs += events[index].failed;
        } else if (index < last) {
            judgement.writes++;
            if (!is_covered(index, end)) judgement.uncovered_writes++;
        }
    }
    pthread_mutex_unlock(&event_lock);
    return judgement;
}
