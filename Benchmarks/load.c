// SPDX-License-Identifier: Apache-2.0
//
// load --url iscsi://HOST:PORT/IQN/LUN [OPTION]...
//
// Keeps the command queues of one or more sessions full and prints what came of it as one line of JSON.
// One thread; any answer but GOOD with all its data ends it with a sentence and status 1.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pipeline.h"
#include "process_cost.h"

enum { EVENTS_PER_WAIT = MOST_CONNECTIONS, SILENCE_LIMIT_MS = 10000 };

#define NS_PER_SECOND 1e9

struct load {
    struct load_options options;
    struct workload workload;
    struct measurement measurement;
    struct pipeline pipelines[MOST_CONNECTIONS];
    bool is_blocked[MOST_CONNECTIONS];  // waits until the socket takes more
    int epoll;
    uint64_t begin_ns, end_ns;          // of the measured time
    struct process_cost server_begin, server_end, client_begin, client_end;
};

static void watch(struct load *load, uint32_t index, int operation)
{
    struct epoll_event event = {
        .events = load->is_blocked[index] ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.u32 = index};
    if (epoll_ctl(load->epoll, operation, load->pipelines[index].session.fd, &event) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

static void open_sessions(struct load *load)
{
    const struct load_options *options = &load->options;
    for (uint32_t i = 0; i < options->connections; i++) {
        struct session session;
        session_open(&session, options, i);
        if (session.header_digest != options->header_digest || session.data_digest != options->data_digest)
            die("the target does not agree to the digests asked for");
        struct capacity capacity = session_read_capacity(&session);
        if (options->block_bytes % capacity.block_bytes != 0)
            die("the LUN has blocks of %u bytes", capacity.block_bytes);
        if (i == 0)
            workload_create(&load->workload, options, capacity.block_count * capacity.block_bytes);
        pipeline_create(&load->pipelines[i], &session, options, &load->workload, &load->measurement,
                        capacity.block_bytes);
        watch(load, i, EPOLL_CTL_ADD);
    }
}

static void read_costs(const struct load *load, struct process_cost *server, struct process_cost *client)
{
    if (load->options.server_pid > 0 && !process_cost_read(load->options.server_pid, server))
        die("no process %d to measure", (int)load->options.server_pid);
    process_cost_read(getpid(), client);
}

static void flush(struct load *load, uint32_t index)
{
    bool was_blocked = load->is_blocked[index];
    load->is_blocked[index] = pipeline_flush(&load->pipelines[index]);
    if (load->is_blocked[index] != was_blocked)
        watch(load, index, EPOLL_CTL_MOD);
}

static uint32_t outstanding(const struct load *load)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < load->options.connections; i++)
        count += load->pipelines[i].outstanding;
    return count;
}

/// Begins and ends the measured time; once it is over, lets the commands under way come to their end.
static void keep_time(struct load *load, uint64_t phase_begin_ns)
{
    uint64_t now = monotonic_ns();
    uint64_t warmup = (uint64_t)(load->options.warmup_seconds * NS_PER_SECOND);
    uint64_t measured = (uint64_t)(load->options.seconds * NS_PER_SECOND);
    if (load->begin_ns == 0 && now - phase_begin_ns >= warmup) {
        read_costs(load, &load->server_begin, &load->client_begin);
        load->begin_ns = monotonic_ns();
        load->measurement.is_running = true;
    } else if (load->measurement.is_running && now - load->begin_ns >= measured) {
        load->measurement.is_running = false;
        load->end_ns = monotonic_ns();
        read_costs(load, &load->server_end, &load->client_end);
        load->workload.phase = PHASE_STOPPED;
    }
}

/// Up to SILENCE_LIMIT_MS of sleep, or of asking again and again.
static int wait_for_events(const struct load *load, struct epoll_event *events)
{
    if (!load->options.poll)
        return epoll_wait(load->epoll, events, EVENTS_PER_WAIT, SILENCE_LIMIT_MS);
    uint64_t begin_ns = monotonic_ns();
    int count;
    do
        count = epoll_wait(load->epoll, events, EVENTS_PER_WAIT, 0);
    while (count == 0 && monotonic_ns() - begin_ns < SILENCE_LIMIT_MS * 1000000ull);
    return count;
}

static void run_phase(struct load *load, enum workload_phase phase)
{
    uint64_t phase_begin_ns = monotonic_ns();
    uint32_t connections = load->options.connections;
    workload_start(&load->workload, phase);
    for (uint32_t i = 0; i < connections; i++) {
        pipeline_start_commands(&load->pipelines[i], monotonic_ns());
        flush(load, i);
    }
    while (outstanding(load) > 0) {
        struct epoll_event events[EVENTS_PER_WAIT];
        int count = wait_for_events(load, events);
        if (count == 0)
            die("the target has not answered for %d seconds", SILENCE_LIMIT_MS / 1000);
        if (phase == PHASE_RUN)
            keep_time(load, phase_begin_ns);
        for (int i = 0; i < count; i++) {
            uint32_t index = events[i].data.u32;
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                pipeline_receive(&load->pipelines[index]);
            pipeline_start_commands(&load->pipelines[index], monotonic_ns());
            flush(load, index);
        }
        // A session may have found all units busy; they are free again when another one's command ends.
        for (uint32_t i = 0; load->options.verify && i < connections; i++) {
            pipeline_start_commands(&load->pipelines[i], monotonic_ns());
            flush(load, i);
        }
    }
}

static double microseconds(uint64_t ns) { return (double)ns / 1000; }

static void print_result(const struct load *load)
{
    const struct load_options *options = &load->options;
    const struct histogram *latency = &load->measurement.latency;
    double seconds = (double)(load->end_ns - load->begin_ns) / NS_PER_SECOND;
    double commands = latency->count > 0 ? (double)latency->count : 1;  // never divide by zero
    uint64_t client_ns = load->client_end.cpu_ns - load->client_begin.cpu_ns;
    printf("{\"rw\": \"%s\", \"block_size\": %u, \"queue_depth\": %u, \"connections\": %u, \"digests\": \"%s\", ",
           access_names[options->access], options->block_bytes, options->queue_depth, options->connections,
           options->header_digest && options->data_digest ? "both" : options->header_digest ? "header"
           : options->data_digest                         ? "data" : "none");
    printf("\"verified\": %s, \"seconds\": %.3f, \"commands\": %llu, \"iops\": %.0f, \"mb_per_s\": %.1f, ",
           options->verify ? "true" : "false", seconds, (unsigned long long)latency->count,
           (double)latency->count / seconds, (double)latency->count * options->block_bytes / seconds / 1e6);
    printf("\"latency_us\": {\"mean\": %.1f, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}, ",
           microseconds(latency->sum) / commands, microseconds(histogram_quantile(latency, 0.5)),
           microseconds(histogram_quantile(latency, 0.99)), microseconds(histogram_quantile(latency, 0.999)),
           microseconds(latency->maximum));
    if (options->server_pid > 0) {
        uint64_t server_ns = load->server_end.cpu_ns - load->server_begin.cpu_ns;
        uint64_t switches = load->server_end.voluntary_switches - load->server_begin.voluntary_switches;
        printf("\"server_cpu_us_per_command\": %.3f, \"server_cpus\": %.3f, \"server_switches_per_command\": %.4f, ",
               microseconds(server_ns) / commands, (double)server_ns / NS_PER_SECOND / seconds,
               (double)switches / commands);
    }
    printf("\"client_cpu_us_per_command\": %.3f, \"client_cpus\": %.3f}\n", microseconds(client_ns) / commands,
           (double)client_ns / NS_PER_SECOND / seconds);
}

int main(int argc, char **argv)
{
    static struct load load;
    load_options_parse(argc, argv, &load.options);
    signal(SIGPIPE, SIG_IGN);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load.epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    open_sessions(&load);
    if (load.options.fill)
        run_phase(&load, PHASE_FILL);
    run_phase(&load, PHASE_RUN);
    if (load.end_ns == 0)
        die("the target's command window closed for good");
    if (load.options.verify)
        run_phase(&load, PHASE_SCAN);
    for (uint32_t i = 0; i < load.options.connections; i++) {
        session_close(&load.pipelines[i].session);
        pipeline_destroy(&load.pipelines[i]);
    }
    workload_destroy(&load.workload);
    close(load.epoll);
    print_result(&load);
    return 0;
}
