// SPDX-License-Identifier: Apache-2.0
//
// idle_sessions URL COUNT [CYCLES]
//
// Logs in that many sessions, prints "ready", and keeps them, answering the target's pings and nothing else, until its
// standard input ends. With CYCLES it logs in and out so often instead, COUNT sessions at a time, prints "ready" after
// a tenth of it and "done" at the end of it, and waits for the end of its standard input after both.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "session.h"

enum { MOST_SESSIONS = 4000 };  // the index is two bytes of the ISID

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

static struct session sessions[MOST_SESSIONS];

static void say(const char *word)
{
    printf("%s\n", word);
    fflush(stdout);
}

/// A line that says to go on.
static void wait_for_word(void)
{
    for (int byte = 0; byte != '\n' && byte != EOF;)
        byte = getchar();
}

static void log_in_and_out(const struct load_options *options, int count, int cycles)
{
    for (int done = 0; done < cycles; done += count) {
        if (done >= cycles / 10 && done - count < cycles / 10) {
            say("ready");
            wait_for_word();
        }
        for (int i = 0; i < count; i++)
            session_open(&sessions[i], options, (uint32_t)i);
        for (int i = 0; i < count; i++)
            session_close(&sessions[i]);
    }
    say("done");
    wait_for_word();
}

int main(int argc, char **argv)
{
    static struct pollfd watched[MOST_SESSIONS + 1];
    struct load_options options;
    int count = argc == 3 || argc == 4 ? atoi(argv[2]) : 0, cycles = argc == 4 ? atoi(argv[3]) : 0;
    if (count < 1 || count > MOST_SESSIONS || cycles < 0) {
        fprintf(stderr, "usage: idle_sessions iscsi://HOST:PORT/IQN/LUN COUNT [CYCLES], COUNT at most %d\n",
                MOST_SESSIONS);
        return 2;
    }
    char option[] = "--url", *arguments[] = {argv[0], option, argv[1], NULL};
    load_options_parse(3, arguments, &options);
    if (cycles > 0) {
        log_in_and_out(&options, count, cycles);
        return 0;
    }
    for (int i = 0; i < count; i++) {
        session_open(&sessions[i], &options, (uint32_t)i);
        session_read_capacity(&sessions[i]);
        watched[i] = (struct pollfd){.fd = sessions[i].fd, .events = POLLIN};
    }
    watched[count] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    say("ready");
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
