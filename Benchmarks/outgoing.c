// SPDX-License-Identifier: Apache-2.0
//
// The queue of PDUs to be sent, and the one send that takes them.
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "crc32c.h"
#include "pipeline.h"

enum { VECTORS_PER_PDU = 3, MOST_VECTORS = 1024 };

void outgoing_create(struct outgoing_queue *queue, uint32_t capacity)
{
    uint32_t length = 1;
    while (length < capacity)
        length *= 2;
    *queue = (struct outgoing_queue){.pdus = calloc(length, sizeof queue->pdus[0]), .mask = length - 1};
    if (!queue->pdus)
        die("no memory");
}

void outgoing_destroy(struct outgoing_queue *queue) { free(queue->pdus); }

void outgoing_add(struct outgoing_queue *queue, const struct session *session, uint8_t *bhs, const uint8_t *data,
                  uint32_t length)
{
    if (queue->end - queue->first > queue->mask)
        die("the target asks for the same data again and again");
    struct outgoing *pdu = &queue->pdus[queue->end++ & queue->mask];
    put24(bhs + BHS_DATA_LENGTH, length);
    put32(bhs + BHS_EXP_STAT_SN, session->exp_stat_sn);
    memcpy(pdu->head, bhs, BHS_BYTES);
    pdu->head_length = BHS_BYTES;
    if (session->header_digest) {
        crc32c_finish(crc32c_add(CRC32C_START, bhs, BHS_BYTES), pdu->head + BHS_BYTES);
        pdu->head_length += DIGEST_BYTES;
    }
    pdu->data = data;
    pdu->data_length = length;
    pdu->tail_length = 0;
    if (session->data_digest && length > 0) {
        crc32c_finish(crc32c_add(CRC32C_START, data, length), pdu->tail);
        pdu->tail_length = DIGEST_BYTES;
    }
}

static size_t whole_length(const struct outgoing *pdu)
{
    return (size_t)pdu->head_length + pdu->data_length + pdu->tail_length;
}

/// Adds the part of `bytes` beyond the first `*skip`; takes what it passed over off `*skip`.
static void add_vector(struct iovec *vectors, size_t *count, const uint8_t *bytes, size_t length, size_t *skip)
{
    size_t passed = *skip < length ? *skip : length;
    *skip -= passed;
    if (length > passed)
        vectors[(*count)++] = (struct iovec){(void *)(uintptr_t)(bytes + passed), length - passed};
}

bool outgoing_send(struct outgoing_queue *queue, int fd)
{
    while (queue->first != queue->end) {
        struct iovec vectors[MOST_VECTORS];
        size_t count = 0, skip = queue->sent_of_first;
        for (uint32_t i = queue->first; i != queue->end && count + VECTORS_PER_PDU <= MOST_VECTORS; i++) {
            const struct outgoing *pdu = &queue->pdus[i & queue->mask];
            add_vector(vectors, &count, pdu->head, pdu->head_length, &skip);
            add_vector(vectors, &count, pdu->data, pdu->data_length, &skip);
            add_vector(vectors, &count, pdu->tail, pdu->tail_length, &skip);
        }
        struct msghdr message = {.msg_iov = vectors, .msg_iovlen = count};
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno == EAGAIN)
            return true;
        if (sent < 0)
            die("cannot send: %s", strerror(errno));
        queue->sent_of_first += (size_t)sent;
        while (queue->first != queue->end) {
            size_t whole = whole_length(&queue->pdus[queue->first & queue->mask]);
            if (queue->sent_of_first < whole)
                break;
            queue->sent_of_first -= whole;
            queue->first++;
        }
    }
    return false;
}
