// SPDX-License-Identifier: Apache-2.0

/// One sentence of the contract between a host and its handlers.
public struct ContractRule: Sendable, Equatable {
    /// The case that answers for the rule. Where another case sees it broken, the finding is counted there, so that
    /// one fault of a handler is one failed case. Nil: the case that sees it.
    let owner: String?
    public let identifier: String
    /// What the handler must do.
    public let sentence: String
    /// Where that is written.
    public let place: String

    init(_ identifier: String, owner: String? = nil, _ sentence: String, _ place: String) {
        self.identifier = identifier
        self.owner = owner
        self.sentence = sentence
        self.place = place
    }

    static func named(_ identifier: String) -> ContractRule? { all.first { $0.identifier == identifier } }

    static let lifeCycle = "docs/handlers.md#life-cycle"
    static let threads = "docs/handlers.md#nr_threads"
    static let door = "docs/handlers.md#the-extension-door"
    static let acceptance = "docs/handlers.md#what-is-accepted-what-is-refused"
    static let core = "docs/handlers.md#what-the-core-does-for-a-handler"
    static let statuses = "docs/handlers.md#status-and-sense-data"
    static let data = "docs/conformance-kit.md#data"
    static let memory = "docs/conformance-kit.md#memory"
    static let manners = "docs/conformance-kit.md#manners"
    static let cdbs = "docs/conformance-kit.md#cdbs"

    static let all: [ContractRule] = loading + opening + ending + moving + extended + behaving

    private static let loading: [ContractRule] = [
        ContractRule(
            "load.accepted", owner: "load.file",
            "The file is a handler of tcmu-runner 1.5.4 to 1.6.2 that registers itself in handler_init.", acceptance),
        ContractRule(
            "load.init", owner: "load.file",
            "handler_init and init return: they neither crash, nor end the process, nor wait for ever.", lifeCycle),
        ContractRule(
            "load.config", owner: "load.check-config",
            "check_config answers any string, accepts one that can be opened, and leaves its reason NULL or malloc'ed.",
            lifeCycle),
        ContractRule(
            "load.probe", owner: "load.probe",
            "probe tells of a store without changing it; for what cannot be opened it returns -errno.", door),
    ]

    private static let opening: [ContractRule] = [
        ContractRule(
            "life.open", owner: "life.rounds",
            "open returns 0 for a store that can be served, the first time and again.",
            lifeCycle),
        ContractRule(
            "life.close", owner: "life.rounds", "close returns, and leaves nothing that hurts the process.", lifeCycle),
        ContractRule(
            "life.missing", owner: "life.missing",
            "open of a store that cannot be opened returns a negative number, and a later open works.", lifeCycle),
        ContractRule(
            "life.two", owner: "life.two", "Devices of one handler do not touch each other's blocks.", lifeCycle),
        ContractRule(
            "life.leak", owner: "life.leaks",
            "close gives back what open took: descriptors, threads, memory.", lifeCycle),
        ContractRule(
            "attributes.sane", owner: "attributes.sane",
            "After open the block size is a power of two from 512 to 4096, and the blocks fit into the store.",
            lifeCycle),
        ContractRule(
            "attributes.write-cache", owner: "attributes.write-cache",
            "A device whose write cache is off has each write on stable storage when it ends.", core),
    ]

    private static let ending: [ContractRule] = [
        ContractRule(
            "completion.always", owner: "completion.always", "Every command that the handler takes ends.", threads),
        ContractRule(
            "completion.once", owner: "completion.once",
            "A command ends once: by tcmur_cmd_complete with nr_threads 0, by what the callout returns otherwise.",
            threads),
        ContractRule(
            "completion.late", owner: "completion.late", "After close no command is completed any more.", threads),
        ContractRule(
            "completion.named", owner: "completion.once",
            "A completion names the command and the device that the callout was called with.", threads),
        ContractRule(
            "completion.status", owner: "completion.status",
            "A status is one of TCMU_STS_*, and PASSTHROUGH_ERR comes with sense data.", statuses),
        ContractRule(
            "completion.truth", owner: "completion.truth",
            "When a write ends its data can be read; when a read ends its data is there.", threads),
    ]

    private static let moving: [ContractRule] = [
        ContractRule(
            "data.moves", "A read gives what was written last, of every block and of no other.", data),
        ContractRule(
            "data.edges", owner: "data.edges", "The first and the last blocks are as good as any.", data),
        ContractRule(
            "memory.outside", owner: "memory.bounds",
            "A handler touches the bytes of the iovec and none beside them.", memory),
        ContractRule(
            "memory.source", owner: "memory.source", "A write leaves its data in memory as it is.", memory),
        ContractRule(
            "memory.after", owner: "memory.after",
            "Command and data are gone once the command has ended: the handler touches neither.", memory),
        ContractRule(
            "concurrency.lost", owner: "concurrency.disjoint",
            "Commands under way at the same time on different blocks do not disturb each other.", threads),
        ContractRule(
            "concurrency.torn", owner: "concurrency.overlap",
            "Of writes to one block under way at the same time, one is what the block holds afterwards.", threads),
        ContractRule(
            "flush.kept", owner: "flush.kill",
            "What a flush covered is there after the process was killed.",
            "docs/safety.md#what-an-acknowledgement-means"),
        ContractRule(
            "flush.synced", owner: "flush.recorded",
            "A flush ends when the writes before it are on stable storage: fdatasync or what equals it.",
            "docs/safety.md#what-an-acknowledgement-means"),
    ]

    private static let extended: [ContractRule] = [
        ContractRule(
            "zeroes.written", owner: "zeroes.written",
            "write_zeroes, with and without MAY_UNMAP, leaves zeroes in its range and nothing else changed.", door),
        ContractRule(
            "cancel.ends", owner: "cancel.ends",
            "A command that cancel was called for ends once, and TCMU_STS_OK only if it was done.", door),
        ContractRule(
            "health.answers", owner: "health.answers",
            "health answers 0 with a state that has a meaning, or -errno; a state that is not good has a reason.", door),
        ContractRule("unmap.others", owner: "unmap.range", "unmap changes its range and nothing else.", core),
        ContractRule(
            "unmap.zeroes", owner: "unmap.zeroes",
            "With MARTLET_HANDLER_UNMAPPED_READS_ZERO what was unmapped reads as zeroes.", door),
        ContractRule(
            "writesame.fills", owner: "writesame.fills", "writesame writes its block over the whole length.", core),
        ContractRule(
            "caw.compares", owner: "caw.compares",
            "caw writes when the data is as given; otherwise it ends MISCOMPARE and writes nothing.", core),
        ContractRule("caw.atomic", owner: "caw.atomic", "No other caw comes between comparing and writing.", core),
        ContractRule(
            "status.extents", owner: "status.extents",
            "block_status covers the range from its beginning on with extents of whole blocks, at least one.", door),
        ContractRule(
            "map.same", owner: "map.same", "What map_read points to is what read gives.", door),
        ContractRule(
            "batch.descriptor", owner: "batch.descriptor",
            "completion_descriptor gives a descriptor that becomes readable when reap has something to complete.", door),
        ContractRule(
            "resize.works", owner: "resize.busy",
            "reconfig with a new size answers 0 or -errno while I/O goes on, and harms no block.", lifeCycle),
        ContractRule(
            "resize.unknown", owner: "resize.unknown", "reconfig of a type that the handler does not know is refused.",
            lifeCycle),
        ContractRule(
            "cdb.answers", owner: "cdb.answers", "handle_cmd answers INQUIRY, TEST UNIT READY and READ CAPACITY.", cdbs),
        ContractRule(
            "cdb.unknown", owner: "cdb.unknown",
            "handle_cmd ends a command that it does not know with NOT_HANDLED or an error.", cdbs),
    ]

    private static let behaving: [ContractRule] = [
        ContractRule(
            "leak.commands", owner: "leak.commands", "A command leaves no memory behind.", manners),
        ContractRule(
            "manners.output", owner: "manners.output", "Standard output is the host's.", manners),
        ContractRule(
            "manners.process", owner: "manners.process",
            "Signals, locale, umask and the current folder are the host's.", manners),
        ContractRule("process.lives", "The handler does not end the process, or hang it.", manners),
        ContractRule("sanitizer", "The sanitizer that the handler was built with has nothing to say.", manners),
    ]
}
