// SPDX-License-Identifier: Apache-2.0
// Lines to the parent, also from the last moment of a process that a fault ends.

#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"

#define LINE_SIZE 1024

static int report_descriptor = -1;

void check_report(const char *kind, const char *rule, const char *text) {
    char line[LINE_SIZE];
    int length = snprintf(line, sizeof(line), "%s\t%s\t%s", kind, rule, text);
    if (length < 0 || report_descriptor < 0) return;
    if ((size_t)length > sizeof(line) - 2) length = sizeof(line) - 2;
    int tabs = 0;
    for (int index = 0; index < length; index++) {
        bool is_separator = line[index] == '\t' && tabs < 2;
        tabs += is_separator;
        if ((unsigned char)line[index] < ' ' && !is_separator) line[index] = ' ';
    }
    line[length] = '\n';
    // One write for a line, so that lines of several threads do not mix.
    if (write(report_descriptor, line, (size_t)length + 1) < 0) return;
}

// Runs on the thread that met the fault: formatting is not safe in theory, and the process ends right after.
static void faulted(int signal, siginfo_t *information, void *context) {
    (void)context;
    for (int index = 0; index < CHECK_COMMAND_LIMIT; index++) {
        struct check_command *command = &check_commands[index];
        long distance;
        if (command->phase != CHECK_STARTED ||
            !check_buffer_is_guard(&command->buffer, information->si_addr, &distance))
            continue;
        char text[256];
        snprintf(
            text, sizeof(text), "a %s of %zu bytes at byte %llu touched memory %ld bytes %s its data",
            check_operation_name(command->operation), command->data_byte_count, (unsigned long long)command->offset,
            distance < 0 ? -distance : distance, distance < 0 ? "before" : "behind the end of");
        check_report("finding", "memory.outside", text);
        break;
    }
    // Returning runs the instruction again, now to end the process.
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigaction(signal, &plain, NULL);
}

void check_report_to(int descriptor, bool catches_faults) {
    report_descriptor = descriptor;
    if (!catches_faults) return;
    struct sigaction action = {.sa_sigaction = faulted, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}
