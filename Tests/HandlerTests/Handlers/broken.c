// SPDX-License-Identifier: Apache-2.0
// Shared objects that the host must refuse, chosen by FAULT when compiled.

#include <stddef.h>

#include "tcmu-runner.h"

#define NO_ENTRY_POINT 1
#define IMPORTS_NOTHING 2
#define NAMES_OF_1_2 3
#define NAMES_OF_1_4 4
#define NAMES_OF_1_5_0 5
#define MISSING_SYMBOLS 6
#define INIT_FAILS 7
#define REGISTERS_NOTHING 8
#define DATA_AS_CALLOUT 9
#define FLAG_OUT_OF_RANGE 10
#define NO_READ 11
#define TELLS_NOTHING 12
#define HANDLER_INIT_FAILS 13
#define NO_SUBTYPE 14
#define THREADS_OUT_OF_RANGE 15
#define NAMES_OF_1_3 16
#define ERRP_OF_1_1 17
#define SENSE_OF_1_4 18
#define SNAPSHOT 19
#define DAEMON_OF_1_5_2 20
#define WRITESAME_OF_1_5_3 21
#define NAMES_OF_1_6 22
#define NO_CLOSE 23
#define SLASH_IN_SUBTYPE 24

static int opened(struct tcmu_device *dev, bool reopen) { return (void)dev, (void)reopen, 0; }
static void closed(struct tcmu_device *dev) { (void)dev; }
static int moved(
    struct tcmu_device *dev, struct tcmur_cmd *cmd, struct iovec *iovec, size_t count, size_t length, off_t offset) {
    return (void)dev, (void)cmd, (void)iovec, (void)count, (void)length, (void)offset, TCMU_STS_OK;
}
static int failing(void) { return -5; }

static struct tcmur_handler handler = {
    .name = "Broken",
    .subtype = FAULT == NO_SUBTYPE ? NULL : FAULT == SLASH_IN_SUBTYPE ? "bro/ken" : "broken",
    .open = opened,
    .close = FAULT == NO_CLOSE ? NULL : closed,
    .read = FAULT == NO_READ ? NULL : moved,
    .write = moved,
    .init = FAULT == INIT_FAILS ? failing : NULL,
    .nr_threads = FAULT == THREADS_OUT_OF_RANGE ? 1 << 20 : FAULT == SNAPSHOT ? 0 : 1,
};

#ifdef OBJECT_SIZE
// As a handler of another generation shows itself.
char tcmu_broken_handler[OBJECT_SIZE] = {1};
#endif

void dbgp(void);
void *tcmu_get_dev_private(struct tcmu_device *dev);
int tcmur_handle_caw(void);
int tcmur_handle_writesame(void);
void *tcmu_get_daemon_dev_private(struct tcmu_device *dev);
long long tcmu_get_device_size(struct tcmu_device *dev);
void tcmu_set_sense_info(uint8_t *sense, uint32_t info);
void errp(const char *format, ...);
void tcmu_first_of_tomorrow(void);
void tcmu_second_of_tomorrow(void);

#if FAULT != NO_ENTRY_POINT
int handler_init(void) {
#if FAULT == IMPORTS_NOTHING
    return 0;
#else
#if FAULT != TELLS_NOTHING
    if (handler.opaque != NULL) tcmur_dev_get_private(NULL);
#endif
#if FAULT == NAMES_OF_1_2
    dbgp();
#elif FAULT == NAMES_OF_1_4
    tcmu_get_dev_private(NULL);
#elif FAULT == NAMES_OF_1_5_0
    tcmur_handle_caw();
#elif FAULT == NAMES_OF_1_3
    tcmu_get_device_size(NULL);
#elif FAULT == ERRP_OF_1_1
    errp("");
#elif FAULT == SENSE_OF_1_4
    tcmu_set_sense_info(NULL, 0);
#elif FAULT == DAEMON_OF_1_5_2
    tcmu_get_daemon_dev_private(NULL);
#elif FAULT == WRITESAME_OF_1_5_3
    tcmur_handle_writesame();
#elif FAULT == NAMES_OF_1_6
    if (handler.opaque != NULL) tcmu_dev_get_write_protect_enabled(NULL);
#elif FAULT == MISSING_SYMBOLS
    tcmu_first_of_tomorrow();
    tcmu_second_of_tomorrow();
#elif FAULT == DATA_AS_CALLOUT
    handler.unmap = (void *)&handler;
#elif FAULT == FLAG_OUT_OF_RANGE
    ((unsigned char *)&handler._is_dbus_handler)[4] = 7;
#endif
    // Not known to the compiler, so that the registration stays among the imports.
    static volatile int fault = FAULT;
    if (fault == REGISTERS_NOTHING) return 0;
    if (fault == HANDLER_INIT_FAILS) return 3;
    return tcmur_register_handler(&handler);
#endif
}
#endif
