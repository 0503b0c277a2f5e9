// SPDX-License-Identifier: Apache-2.0
// Handlers' words for the operator. Formatting happens here, because only C can be called with variadic arguments.

#include "device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static atomic_int log_level = TCMU_LOG_INFO;

void tcmu_set_log_level(int level) { atomic_store(&log_level, level); }

unsigned int tcmu_get_log_level(void) { return (unsigned int)atomic_load(&log_level); }

// One line: no line feed at the end, and nothing within it that could pass for another line or a terminal's command.
static void make_one_line(char *text) {
    size_t length = strlen(text);
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) text[--length] = '\0';
    for (char *character = text; *character != '\0'; character++) {
        if ((unsigned char)*character < ' ' || *character == '\x7f') *character = ' ';
    }
}

static void report(int severity, struct tcmu_device *dev, const char *format, va_list arguments) {
    // %m means the errno of the moment of the call, and the handler may look at it again afterwards.
    int error = errno;
    if (severity <= atomic_load_explicit(&log_level, memory_order_relaxed) && host_hooks()->log != NULL) {
        char text[TCMU_LOG_BUF_SIZE];
        errno = error;
        if (vsnprintf(text, sizeof(text), format, arguments) >= 0) {
            make_one_line(text);
            host_hooks()->log(severity, dev, text);
        }
    }
    errno = error;
}

#define MESSAGE(name, severity)                                                                       \
    void name(struct tcmu_device *dev, const char *funcname, int linenr, const char *fmt, ...) {      \
        va_list arguments;                                                                            \
        (void)funcname, (void)linenr;                                                                 \
        va_start(arguments, fmt);                                                                     \
        report(severity, dev, fmt, arguments);                                                        \
        va_end(arguments);                                                                            \
    }

MESSAGE(tcmu_crit_message, TCMU_LOG_CRIT)
MESSAGE(tcmu_err_message, TCMU_LOG_ERROR)
MESSAGE(tcmu_warn_message, TCMU_LOG_WARN)
MESSAGE(tcmu_info_message, TCMU_LOG_INFO)
MESSAGE(tcmu_dbg_message, TCMU_LOG_DEBUG)
MESSAGE(tcmu_dbg_scsi_cmd_message, TCMU_LOG_DEBUG_SCSI_CMD)
