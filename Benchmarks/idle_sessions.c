// SPDX-License-Identifier: Apache-2.0
//
// idle_sessions URL COUNT
//
// Logs in that many sessions, prints "ready", and keeps them, answering the target's pings and nothing else, until its
// standard input ends.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "session.h"

enum { MOST_SESSIONS = 250 };  // the index is one byte of the ISID

static void answer_ping(struct session *session)
{
    static uint8_t segment[LONGEST_SEGMENT];
    uint8_t bhs[BHS_BYTES], answer[BHS_BYTES] = {PDU_NOP_OUT | PDU_IMMEDIATE, PDU_FINAL};
    session_receive(session, bhs, segment);
    if (pdu_opcode(bhs) != PDU_NOP_IN)
        die("the target sent an idle session a PDU of opcode 0x%02x", pdu_opcode(bhs));
    session_note_sequence(session, bhs, false);
    if (get32(bhs + BHS_TTT) == RESERVED_TAG)
        return;
    memcpy(answer + BHS_LUN, bhs + BHS_LUN, 8);
    put32(answer + BHS_ITT, RESERVED_TAG);
    memcpy(answer + BHS_TTT, bhs + BHS_TTT, 4);
    put32(answer + BHS_CMD_SN, session->cmd_sn);
    put32(answer + BHS_EXP_STAT_SN, session->exp_stat_sn);
    session_send(session, answer, NULL, 0);
}

int main(int argc, char **argv)
{
    static struct session sessions[MOST_SESSIONS];
    static struct pollfd watched[MOST_SESSIONS + 1];
    struct load_options options;
    int count = argc == 3 ? atoi(argv[2]) : 0;
    if (count < 1 || count > MOST_SESSIONS) {
        fprintf(stderr, "usage: idle_sessions iscsi://HOST:PORT/IQN/LUN COUNT, at most %d\n", MOST_SESSIONS);
        return 2;
    }
    char option[] = "--url", *arguments[] = {argv[0], option, argv[1], NULL};
    load_options_parse(3, arguments, &options);
    for (int i = 0; i < count; i++) {
        session_open(&sessions[i], &options, (uint32_t)i);
        session_read_capacity(&sessions[i]);
        watched[i] = (struct pollfd){.fd = sessions[i].fd, .events = POLLIN};
    }
    watched[count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    printf("ready\n");
    fflush(stdout);
    while (watched[count].revents == 0) {
        if (poll(watched, (nfds_t)count + 1, -1) < 0 && errno != EINTR)
            die("poll: %s", strerror(errno));
        for (int i = 0; i < count; i++)
            if (watched[i].revents != 0)
                answer_ping(&sessions[i]);
    }
    for (int i = 0; i < count; i++)
        session_close(&sessions[i]);
    return 0;
}
