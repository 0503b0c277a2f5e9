// SPDX-License-Identifier: Apache-2.0
//
// Cuts the byte stream into PDUs wherever the receives end, checking digests on the way. Data goes to the
// sink that the header asked for, or nowhere.
#include "crc32c.h"
#include "pipeline.h"

static uint32_t smaller(size_t a, uint32_t b) { return a < b ? (uint32_t)a : b; }

static void check_digest(uint32_t crc, const uint8_t *found, const char *what)
{
    uint8_t wanted[DIGEST_BYTES];
    crc32c_finish(crc, wanted);
    if (memcmp(wanted, found, DIGEST_BYTES) != 0)
        die("the target sent a wrong %s digest", what);
}

static void end_pdu(struct pipeline *pipeline, uint64_t now_ns)
{
    struct incoming *incoming = &pipeline->incoming;
    incoming->part = INCOMING_HEADER;
    incoming->head_count = 0;
    pipeline_pdu_ends(pipeline, incoming->head, now_ns);
}

static void begin_pdu(struct pipeline *pipeline, uint64_t now_ns)
{
    struct incoming *incoming = &pipeline->incoming;
    const struct session *session = &pipeline->session;
    if (session->header_digest)
        check_digest(crc32c_add(CRC32C_START, incoming->head, BHS_BYTES), incoming->head + BHS_BYTES, "header");
    if (incoming->head[BHS_AHS_LENGTH] != 0)
        die("the target sent an additional header segment");
    incoming->data_left = pdu_data_length(incoming->head);
    if (incoming->data_left > pipeline->segment_bytes)
        die("the target sent a data segment of %u bytes, more than we take", incoming->data_left);
    incoming->padding = pdu_padding(incoming->data_left);
    incoming->trailer_count = 0;
    incoming->trailer_length = 0;
    incoming->crc = CRC32C_START;
    pipeline_pdu_begins(pipeline, incoming->head);
    if (incoming->data_left == 0) {
        end_pdu(pipeline, now_ns);
        return;
    }
    incoming->trailer_length = incoming->padding + (session->data_digest ? DIGEST_BYTES : 0);
    incoming->part = INCOMING_DATA;
}

static void end_trailer(struct pipeline *pipeline, uint64_t now_ns)
{
    struct incoming *incoming = &pipeline->incoming;
    if (pipeline->session.data_digest) {
        uint32_t crc = crc32c_add(incoming->crc, incoming->trailer, incoming->padding);
        check_digest(crc, incoming->trailer + incoming->padding, "data");
    }
    end_pdu(pipeline, now_ns);
}

void incoming_consume(struct pipeline *pipeline, const uint8_t *bytes, size_t count, uint64_t now_ns)
{
    struct incoming *incoming = &pipeline->incoming;
    uint32_t head_length = BHS_BYTES + (pipeline->session.header_digest ? DIGEST_BYTES : 0);
    while (count > 0) {
        uint32_t step = 0;
        switch (incoming->part) {
        case INCOMING_HEADER:
            step = smaller(count, head_length - incoming->head_count);
            memcpy(incoming->head + incoming->head_count, bytes, step);
            incoming->head_count += step;
            if (incoming->head_count == head_length)
                begin_pdu(pipeline, now_ns);
            break;
        case INCOMING_DATA:
            step = smaller(count, incoming->data_left);
            if (incoming->sink) {
                memcpy(incoming->sink, bytes, step);
                incoming->sink += step;
            }
            if (pipeline->session.data_digest)
                incoming->crc = crc32c_add(incoming->crc, bytes, step);
            incoming->data_left -= step;
            if (incoming->data_left > 0)
                break;
            incoming->part = INCOMING_TRAILER;
            if (incoming->trailer_length == 0)
                end_trailer(pipeline, now_ns);
            break;
        case INCOMING_TRAILER:
            step = smaller(count, incoming->trailer_length - incoming->trailer_count);
            memcpy(incoming->trailer + incoming->trailer_count, bytes, step);
            incoming->trailer_count += step;
            if (incoming->trailer_count == incoming->trailer_length)
                end_trailer(pipeline, now_ns);
            break;
        }
        bytes += step;
        count -= step;
    }
}
