// SPDX-License-Identifier: Apache-2.0
//
// Counts a program's heap allocations from outside: LD_PRELOAD=count_allocations.so, COUNT_ALLOCATIONS=FILE. The file,
// made beforehand with 16 bytes of zeroes, holds two counts of eight bytes: allocations, and blocks given back.
// Works with glibc, which has its functions under a second name.
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t byte_count);
void *__libc_calloc(size_t count, size_t byte_count);
void *__libc_realloc(void *block, size_t byte_count);
void *__libc_memalign(size_t alignment, size_t byte_count);
void __libc_free(void *block);

struct counts {
    uint64_t allocations, releases;
};

// Until the file is mapped, and without one, what is counted is lost.
static struct counts nowhere, *counts = &nowhere;

__attribute__((constructor)) static void map_counts(void)
{
    const char *path = getenv("COUNT_ALLOCATIONS");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        counts = mapped;
    close(file);
}

static void count(uint64_t *which) { __atomic_fetch_add(which, 1, __ATOMIC_RELAXED); }

void *malloc(size_t byte_count)
{
    count(&counts->allocations);
    return __libc_malloc(byte_count);
}

void *calloc(size_t number, size_t byte_count)
{
    count(&counts->allocations);
    return __libc_calloc(number, byte_count);
}

void *realloc(void *block, size_t byte_count)
{
    count(&counts->allocations);
    if (block)
        count(&counts->releases);
    return __libc_realloc(block, byte_count);
}

void *memalign(size_t alignment, size_t byte_count)
{
    count(&counts->allocations);
    return __libc_memalign(alignment, byte_count);
}

void *aligned_alloc(size_t alignment, size_t byte_count) { return memalign(alignment, byte_count); }

int posix_memalign(void **block, size_t alignment, size_t byte_count)
{
    void *made = memalign(alignment, byte_count);
    if (!made)
        return ENOMEM;
    *block = made;
    return 0;
}

void free(void *block)
{
    if (block)
        count(&counts->releases);
    __libc_free(block);
}
