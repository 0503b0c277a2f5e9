// SPDX-License-Identifier: Apache-2.0
// Runs one case in a process of its own, and gathers what it says and how it ends.

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine.h"

extern char **environ;

// Kept of each stream; the rest is read and dropped.
#define STREAM_LIMIT (1u << 20)

struct stream {
    int descriptor;
    char *text;
    size_t byte_count;
};

static long long milliseconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// What is there now. False at the end of the stream.
static bool take(struct stream *stream) {
    char room[16384];
    while (true) {
        ssize_t count = read(stream->descriptor, room, sizeof(room));
        if (count < 0) return errno == EAGAIN || errno == EINTR;
        if (count == 0) return false;
        size_t kept = STREAM_LIMIT - 1 - stream->byte_count;
        if ((size_t)count < kept) kept = (size_t)count;
        memcpy(stream->text + stream->byte_count, room, kept);
        stream->byte_count += kept;
    }
}

static char **environment_with(const char *const *variables) {
    size_t count = 0, added = 0;
    while (environ[count] != NULL) count++;
    while (variables[added] != NULL) added++;
    char **all = calloc(count + added + 1, sizeof(*all));
    if (all == NULL) return NULL;
    // The first of a name counts.
    for (size_t index = 0; index < added; index++) all[index] = (char *)variables[index];
    memcpy(all + added, environ, count * sizeof(*all));
    return all;
}

static int spawn(const char *const *argv, const char *const *variables, const int writers[3], pid_t *process) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    // The descriptors are above 3, so no step overwrites what a later one needs.
    for (int index = 0; index < 3; index++) posix_spawn_file_actions_adddup2(&actions, writers[index], index + 1);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    char **environment = environment_with(variables);
    int error = environment == NULL
                    ? ENOMEM
                    : posix_spawn(process, argv[0], &actions, &attributes, (char *const *)argv, environment);
    free(environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return error;
}

// A pipe whose ends are both above 3. 0, or an errno value.
static int make_pipe(int *reader, int *writer) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return errno;
    *reader = fcntl(ends[0], F_DUPFD_CLOEXEC, 4);
    *writer = fcntl(ends[1], F_DUPFD_CLOEXEC, 4);
    close(ends[0]);
    close(ends[1]);
    if (*reader < 0 || *writer < 0) return EMFILE;
    fcntl(*reader, F_SETFL, O_NONBLOCK);
    return 0;
}

static void gather(pid_t process, struct stream streams[3], long long deadline, struct check_child_outcome *outcome) {
    int handle = (int)syscall(SYS_pidfd_open, process, 0);
    struct pollfd polled[4];
    while (true) {
        for (int index = 0; index < 3; index++)
            polled[index] = (struct pollfd){.fd = streams[index].descriptor, .events = POLLIN};
        polled[3] = (struct pollfd){.fd = handle, .events = POLLIN};
        long long left = deadline - milliseconds_now();
        // Without a handle (kernels before 5.3) the end is looked for now and then.
        int step = handle < 0 && left > 20 ? 20 : (int)(left < 0 ? 0 : left);
        if (poll(polled, 4, step) < 0 && errno != EINTR) break;
        for (int index = 0; index < 3; index++)
            if (streams[index].descriptor >= 0 && polled[index].revents != 0 && !take(&streams[index])) {
                close(streams[index].descriptor);
                streams[index].descriptor = -1;
            }
        siginfo_t information = {.si_pid = 0};
        if (waitid(P_PID, (id_t)process, &information, WEXITED | WNOHANG | WNOWAIT) == 0 && information.si_pid != 0)
            break;
        if (milliseconds_now() >= deadline) {
            outcome->timed_out = true;
            break;
        }
    }
    if (handle >= 0) close(handle);
}

int check_child_run(
    const char *const *argv, const char *const *variables, unsigned milliseconds, struct check_child_outcome *outcome) {
    struct stream streams[3];
    int writers[3] = {-1, -1, -1};
    int error = 0;
    memset(outcome, 0, sizeof(*outcome));
    for (int index = 0; index < 3; index++) {
        streams[index] = (struct stream){.descriptor = -1, .text = calloc(1, STREAM_LIMIT)};
        if (streams[index].text == NULL) error = ENOMEM;
        if (error == 0) error = make_pipe(&streams[index].descriptor, &writers[index]);
    }
    pid_t process = -1;
    if (error == 0) error = spawn(argv, variables, writers, &process);
    for (int index = 0; index < 3; index++)
        if (writers[index] >= 0) close(writers[index]);
    if (error == 0) {
        gather(process, streams, milliseconds_now() + milliseconds, outcome);
        // Also what the handler started: nothing of a case outlives it.
        kill(-process, SIGKILL);
        struct rusage usage;
        while (wait4(process, &outcome->wait_status, 0, &usage) < 0 && errno == EINTR) {}
        outcome->processor_seconds =
            (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
            (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        for (int index = 0; index < 3; index++)
            if (streams[index].descriptor >= 0) take(&streams[index]);
    }
    for (int index = 0; index < 3; index++)
        if (streams[index].descriptor >= 0) close(streams[index].descriptor);
    outcome->output = streams[0].text;
    outcome->errors = streams[1].text;
    outcome->lines = streams[2].text;
    return error;
}

void check_child_free(struct check_child_outcome *outcome) {
    free(outcome->output);
    free(outcome->errors);
    free(outcome->lines);
    memset(outcome, 0, sizeof(*outcome));
}

char *check_copy_string(const char *string) { return strdup(string); }
void check_free_string(char *string) { free(string); }
