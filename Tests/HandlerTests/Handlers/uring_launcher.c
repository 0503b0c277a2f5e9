// SPDX-License-Identifier: Apache-2.0
// Runs a program where something of io_uring is missing.
//
//     uring_launcher LACK PROGRAM [ARGUMENT...]
//
// LACK: "none"; "setup-EPERM", "setup-ENOSYS", "enter-EPERM", "register-EPERM": the system call, and how a seccomp filter
// answers it; "memory": pages may not be locked, which rings count as on some kernels.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int forbid(unsigned number, unsigned error) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int lock_no_memory(void) {
    struct rlimit nothing = {0, 0};
    // Root has it after exec, too, unless it is out of bounds. Others have it never.
    prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0);
    return setrlimit(RLIMIT_MEMLOCK, &nothing);
}

int main(int argc, char **argv) {
    int result = -1;
    if (argc < 3) return 3;
    if (strcmp(argv[1], "none") == 0) result = 0;
    if (strcmp(argv[1], "setup-EPERM") == 0) result = forbid(SYS_io_uring_setup, EPERM);
    if (strcmp(argv[1], "setup-ENOSYS") == 0) result = forbid(SYS_io_uring_setup, ENOSYS);
    if (strcmp(argv[1], "enter-EPERM") == 0) result = forbid(SYS_io_uring_enter, EPERM);
    if (strcmp(argv[1], "register-EPERM") == 0) result = forbid(SYS_io_uring_register, EPERM);
    if (strcmp(argv[1], "memory") == 0) result = lock_no_memory();
    if (result != 0) {
        perror(argv[1]);
        return 3;
    }
    execv(argv[2], argv + 2);
    perror(argv[2]);
    return 3;
}
