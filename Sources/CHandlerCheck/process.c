// SPDX-License-Identifier: Apache-2.0
// What this process has, and what a handler must leave alone in it.

#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <locale.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

void check_pause(unsigned milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = (long)(milliseconds % 1000) * 1000000};
    nanosleep(&time, NULL);
}

static long entry_count(const char *folder) {
    DIR *directory = opendir(folder);
    if (directory == NULL) return -1;
    long count = 0;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) count += entry->d_name[0] != '.';
    closedir(directory);
    return count;
}

long check_open_descriptor_count(void) { return entry_count("/proc/self/fd"); }
long check_thread_count(void) { return entry_count("/proc/self/task"); }

long check_allocated_byte_count(void) {
    struct mallinfo2 info = mallinfo2();
    return (long)(info.uordblks + info.hblkhd);
}

long check_resident_byte_count(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) return -1;
    long size = 0, resident = -1;
    if (fscanf(file, "%ld %ld", &size, &resident) != 2) resident = -1;
    fclose(file);
    return resident < 0 ? -1 : resident * sysconf(_SC_PAGESIZE);
}

// The field UMASK of /proc/self/status: umask(2) itself would change it.
static unsigned current_umask(void) {
    FILE *file = fopen("/proc/self/status", "re");
    unsigned value = 0;
    char line[256];
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "Umask: %o", &value) == 1) break;
    if (file != NULL) fclose(file);
    return value;
}

void check_process_state(char *text, size_t size) {
    size_t used = 0;
    char folder[1024];
#define ADD(...)                                                                                  \
    do {                                                                                          \
        int count = snprintf(text + used, size - used, __VA_ARGS__);                              \
        if (count > 0) used = used + (size_t)count < size ? used + (size_t)count : size - 1;      \
    } while (0)
    ADD("current folder %s\n", getcwd(folder, sizeof(folder)) != NULL ? folder : "?");
    ADD("umask %03o\n", current_umask());
    ADD("locale %s\n", setlocale(LC_ALL, NULL));
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    for (int signal = 1; signal < SIGRTMIN; signal++) {
        struct sigaction action;
        if (sigaction(signal, NULL, &action) != 0) continue;
        const char *what = action.sa_handler == SIG_DFL   ? "default"
                           : action.sa_handler == SIG_IGN ? "ignored"
                                                          : "caught";
        ADD("signal %s %s at %p%s\n", sigabbrev_np(signal), what, (void *)action.sa_handler,
            sigismember(&mask, signal) ? " blocked" : "");
    }
#undef ADD
}

long check_file_digest(const char *path, uint64_t *digest) {
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return -1;
    uint64_t value = 0xCBF29CE484222325u;
    long total = 0;
    static uint8_t room[1 << 16];
    for (ssize_t count; (count = read(descriptor, room, sizeof(room))) > 0; total += count)
        for (ssize_t index = 0; index < count; index++) value = (value ^ room[index]) * 0x100000001B3u;
    close(descriptor);
    *digest = value;
    return total;
}
