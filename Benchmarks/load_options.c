// SPDX-License-Identifier: Apache-2.0
#include "load_options.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sizes.h"

const char *const access_names[] = {"read", "write", "randread", "randwrite", "randrw"};

static const char usage_text[] =
    "usage: load --url iscsi://HOST:PORT/IQN/LUN [OPTION]...\n"
    "  --rw read|write|randread|randwrite|randrw   what to do (randread)\n"
    "  --read-percent N     share of reads in randrw (70)\n"
    "  --block-size BYTES   of each command, K and M allowed (4K)\n"
    "  --queue-depth N      commands outstanding on each connection (32)\n"
    "  --connections N      sessions of one connection each (1)\n"
    "  --seconds S          measured time (3)\n"
    "  --warmup S           time before it that does not count (0.5)\n"
    "  --size BYTES         use only the first BYTES of the LUN\n"
    "  --fill               write the area once before the warm-up\n"
    "  --verify             write patterns and check every byte read; implies --fill, area 64M at most\n"
    "  --seed N             of addresses and patterns (1)\n"
    "  --digests none|header|data|both             (none)\n"
    "  --segment BYTES      the MaxRecvDataSegmentLength to declare (256K)\n"
    "  --initial-r2t, --no-immediate-data          ask for writes without unsolicited or immediate data\n"
    "  --poll               never sleep while waiting, so that the target has nobody to wake\n"
    "  --server-pid PID     report the CPU time and context switches of this process per command\n";

__attribute__((noreturn, format(printf, 1, 2))) static void refuse(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n\n%s", usage_text);
    va_end(arguments);
    exit(2);
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("load: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(1);
}

static bool copy_part(char *to, size_t capacity, const char *from, size_t length)
{
    if (length == 0 || length >= capacity)
        return false;
    memcpy(to, from, length);
    to[length] = 0;
    return true;
}

/// iscsi://HOST:PORT/IQN/LUN, the host in brackets when it is an IPv6 address.
static bool parse_url(const char *url, struct load_options *options)
{
    static const char scheme[] = "iscsi://";
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    const char *host = url + sizeof scheme - 1, *host_end, *colon;
    if (*host == '[') {
        host_end = strchr(++host, ']');
        colon = host_end ? host_end + 1 : NULL;
    } else {
        host_end = colon = host + strcspn(host, ":/");
    }
    if (!colon || *colon != ':')
        return false;
    const char *port_end = strchr(colon, '/');
    const char *target_end = port_end ? strrchr(port_end + 1, '/') : NULL;
    uint64_t lun;
    if (!target_end || !parse_size(target_end + 1, &lun) || lun > 255)
        return false;
    options->lun = (uint16_t)lun;
    return copy_part(options->host, sizeof options->host, host, (size_t)(host_end - host))
        && copy_part(options->port, sizeof options->port, colon + 1, (size_t)(port_end - colon - 1))
        && copy_part(options->target, sizeof options->target, port_end + 1, (size_t)(target_end - port_end - 1));
}

static uint64_t number_within(const char *name, const char *text, uint64_t low, uint64_t high)
{
    uint64_t value;
    if (!parse_size(text, &value) || value < low || value > high)
        refuse("--%s takes a number from %llu to %llu, not \"%s\"", name, (unsigned long long)low,
               (unsigned long long)high, text);
    return value;
}

static double seconds_within(const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0) || value > 86400)
        refuse("--%s takes a number of seconds, not \"%s\"", name, text);
    return value;
}

static enum access parse_access(const char *text)
{
    for (enum access access = ACCESS_READ; access <= ACCESS_RANDRW; access++)
        if (strcmp(text, access_names[access]) == 0)
            return access;
    refuse("--rw takes read, write, randread, randwrite or randrw, not \"%s\"", text);
}

static void parse_digests(const char *text, struct load_options *options)
{
    bool both = strcmp(text, "both") == 0;
    options->header_digest = both || strcmp(text, "header") == 0;
    options->data_digest = both || strcmp(text, "data") == 0;
    if (!options->header_digest && !options->data_digest && strcmp(text, "none") != 0)
        refuse("--digests takes none, header, data or both, not \"%s\"", text);
}

enum option_name {
    OPTION_URL = 1, OPTION_RW, OPTION_READ_PERCENT, OPTION_BLOCK_SIZE, OPTION_QUEUE_DEPTH, OPTION_CONNECTIONS,
    OPTION_SECONDS, OPTION_WARMUP, OPTION_SIZE, OPTION_FILL, OPTION_VERIFY, OPTION_SEED, OPTION_DIGESTS,
    OPTION_SEGMENT, OPTION_INITIAL_R2T, OPTION_NO_IMMEDIATE_DATA, OPTION_POLL, OPTION_SERVER_PID, OPTION_HELP,
};

static const struct option long_options[] = {
    {"url", required_argument, NULL, OPTION_URL},
    {"rw", required_argument, NULL, OPTION_RW},
    {"read-percent", required_argument, NULL, OPTION_READ_PERCENT},
    {"block-size", required_argument, NULL, OPTION_BLOCK_SIZE},
    {"queue-depth", required_argument, NULL, OPTION_QUEUE_DEPTH},
    {"connections", required_argument, NULL, OPTION_CONNECTIONS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"warmup", required_argument, NULL, OPTION_WARMUP},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"fill", no_argument, NULL, OPTION_FILL},
    {"verify", no_argument, NULL, OPTION_VERIFY},
    {"seed", required_argument, NULL, OPTION_SEED},
    {"digests", required_argument, NULL, OPTION_DIGESTS},
    {"segment", required_argument, NULL, OPTION_SEGMENT},
    {"initial-r2t", no_argument, NULL, OPTION_INITIAL_R2T},
    {"no-immediate-data", no_argument, NULL, OPTION_NO_IMMEDIATE_DATA},
    {"poll", no_argument, NULL, OPTION_POLL},
    {"server-pid", required_argument, NULL, OPTION_SERVER_PID},
    {"help", no_argument, NULL, OPTION_HELP},
    {0},
};

static void take_option(struct load_options *options, enum option_name name, const char *value)
{
    switch (name) {
    case OPTION_URL:
        if (!parse_url(value, options))
            refuse("\"%s\" is no URL of the form iscsi://HOST:PORT/IQN/LUN", value);
        break;
    case OPTION_RW: options->access = parse_access(value); break;
    case OPTION_READ_PERCENT: options->read_percent = (uint32_t)number_within("read-percent", value, 0, 100); break;
    case OPTION_BLOCK_SIZE:
        options->block_bytes = (uint32_t)number_within("block-size", value, 512, LARGEST_TRANSFER);
        break;
    case OPTION_QUEUE_DEPTH:
        options->queue_depth = (uint32_t)number_within("queue-depth", value, 1, MOST_QUEUE_DEPTH);
        break;
    case OPTION_CONNECTIONS:
        options->connections = (uint32_t)number_within("connections", value, 1, MOST_CONNECTIONS);
        break;
    case OPTION_SECONDS: options->seconds = seconds_within("seconds", value); break;
    case OPTION_WARMUP: options->warmup_seconds = seconds_within("warmup", value); break;
    case OPTION_SIZE: options->area_bytes = number_within("size", value, 512, UINT64_MAX >> 1); break;
    case OPTION_POLL: options->poll = true; break;
    case OPTION_FILL: options->fill = true; break;
    case OPTION_VERIFY: options->verify = options->fill = true; break;
    case OPTION_SEED: options->seed = number_within("seed", value, 0, UINT64_MAX >> 1); break;
    case OPTION_DIGESTS: parse_digests(value, options); break;
    case OPTION_SEGMENT: options->segment_bytes = (uint32_t)number_within("segment", value, 512, 0xfffffc); break;
    case OPTION_INITIAL_R2T: options->initial_r2t = true; break;
    case OPTION_NO_IMMEDIATE_DATA: options->no_immediate_data = true; break;
    case OPTION_SERVER_PID: options->server_pid = (pid_t)number_within("server-pid", value, 1, 1u << 30); break;
    case OPTION_HELP:
        fputs(usage_text, stdout);
        exit(0);
    }
}

void load_options_parse(int argc, char **argv, struct load_options *options)
{
    *options = (struct load_options){
        .access = ACCESS_RANDREAD, .block_bytes = 4096, .queue_depth = 32, .connections = 1, .seconds = 3,
        .warmup_seconds = 0.5, .read_percent = 70, .seed = 1, .segment_bytes = 256 * 1024,
    };
    for (int name; (name = getopt_long(argc, argv, "", long_options, NULL)) != -1;) {
        if (name == '?')
            exit(2);
        take_option(options, (enum option_name)name, optarg);
    }
    if (optind < argc)
        refuse("\"%s\" is no option", argv[optind]);
    if (!options->host[0])
        refuse("--url is missing");
}
