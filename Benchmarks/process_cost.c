// SPDX-License-Identifier: Apache-2.0
#include "process_cost.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t nanoseconds(struct timespec time)
{
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t voluntary_switches_of(const char *status_path)
{
    static const char wanted[] = "voluntary_ctxt_switches:";
    FILE *status = fopen(status_path, "re");
    if (!status)
        return 0;  // the thread has just ended
    char line[256];
    unsigned long long count = 0;
    while (fgets(line, sizeof line, status)) {
        if (strncmp(line, wanted, sizeof wanted - 1) == 0) {
            sscanf(line + sizeof wanted - 1, "%llu", &count);
            break;
        }
    }
    fclose(status);
    return count;
}

bool process_cost_read(pid_t pid, struct process_cost *cost)
{
    // The process clock counts in nanoseconds; the fields of /proc/PID/stat only in ticks of 10 ms.
    clockid_t clock;
    struct timespec used;
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
        return false;
    cost->cpu_ns = nanoseconds(used);
    cost->voluntary_switches = 0;

    char path[300];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    if (!tasks)
        return false;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%.32s/status", (int)pid, entry->d_name);
        cost->voluntary_switches += voluntary_switches_of(path);
    }
    closedir(tasks);
    return true;
}

uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return nanoseconds(now);
}
