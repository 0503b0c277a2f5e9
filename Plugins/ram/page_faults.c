// SPDX-License-Identifier: Apache-2.0
// A mapped file whose disk fails, or that somebody cuts short, ends an access with SIGBUS. It must end one command,
// not the process.

#include "store.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>

// Where to go on after a fault; NULL outside guarded work. In static storage, because a signal handler must not
// allocate.
static __thread sigjmp_buf *volatile escape __attribute__((tls_model("initial-exec")));

static struct sigaction previous;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fault(int signal, siginfo_t *information, void *context) {
    // This thread is inside guarded work, where only memcpy runs: nothing is held that the jump would leave behind.
    if (escape != NULL) {
        // The jump leaves the mask as it is here, where the signal is blocked.
        sigset_t faults;
        sigemptyset(&faults);
        sigaddset(&faults, SIGBUS);
        pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
        siglongjmp(*escape, 1);
    }
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal, information, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal);
    } else {
        // Not ours: the access is repeated and ends the process as it would have without us.
        sigaction(SIGBUS, &previous, NULL);
    }
}

static void install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof(action));
    action.sa_sigaction = fault;
    action.sa_flags = SA_SIGINFO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, &previous);
}

bool guard_against_page_faults(bool (*work)(void *argument), void *argument) {
    sigjmp_buf here;
    bool result = false;
    pthread_once(&once, install);
    if (sigsetjmp(here, 0) == 0) {
        escape = &here;
        result = work(argument);
        escape = NULL;
        return result;
    }
    escape = NULL;
    return false;
}
