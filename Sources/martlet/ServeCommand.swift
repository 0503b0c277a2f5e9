// SPDX-License-Identifier: Apache-2.0

internal import ArgumentParser
internal import ControlPlane

/// `martlet serve`.
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serves LUNs until SIGTERM or SIGINT.",
        discussion: """
            Each LUN is SUBTYPE/REST[,KEY=VALUE]...; they become LUN 0, 1, ... of the target. Keys: size (bytes, or \
            with K, M, G, T), block-size (512, 1024, 2048, 4096), readonly, serial, vendor, product, write-cache (on, \
            off), merge (on, off), merge-delay and max-delay (such as 50us). A comma that belongs to a path is written \\,.

            When the LUNs can be used, the URL of each is written to standard output, one on a line. Logs go to \
            standard error. Without auth in a configuration file nobody is asked who they are: serve to loopback then, or \
            to networks of hosts that you trust.

            Examples:
              martlet serve ram/1G
              martlet serve file//srv/disk.img,size=10G,block-size=4096
              martlet serve --portal '[::1]:3261' ram/1G qcow//srv/vm.qcow2
              martlet serve --config martlet.yaml --control /run/martlet/control
            """)

    @Option(
        help: ArgumentHelp(
            "Read portals, devices, targets and performance settings from a YAML file.", valueName: "file"))
    var config: String?

    @Option(
        help: ArgumentHelp(
            "Listen on this numeric address; may be repeated. Port 0 picks a free one. "
                + "(default: 127.0.0.1:3260, or the portals of the file)",
            valueName: "addr:port"))
    var portal: [String] = []

    @Option(
        help: ArgumentHelp(
            "The target of the LUNs given here. (default: \(Configuration.defaultTargetName))", valueName: "iqn"))
    var target: String?

    @Option(help: ArgumentHelp("Look for handlers here first; may be repeated.", valueName: "dir"))
    var handlerPath: [String] = []

    @Option(
        help: ArgumentHelp(
            "Take this handler although it does not tell that it was built for tcmu-runner 1.5.4; may be repeated.",
            valueName: "file"))
    var trustHandler: [String] = []

    @Option(
        help: ArgumentHelp(
            "How long a handler that did not come with martlet may take to start, when it is tried in a process of its "
                + "own; 0 leaves the trial out.", valueName: "s"))
    var handlerTrial = HandlerTrial.defaultSeconds

    @Option(
        help: ArgumentHelp(
            "How long the stop may take before the server ends with an error that names the handler; 0 waits for ever.",
            valueName: "s"))
    var stopLimit = StopLimit.defaultSeconds

    @Option(
        help: ArgumentHelp(
            "How long an abort or a reset waits for commands that a handler has, before it is answered with Function "
                + "rejected; 0 waits for ever.", valueName: "s"))
    var abortLimit = ServeOptions.defaultAbortSeconds

    @Option(help: ArgumentHelp("Event loops, each a thread. (default: the number of processors)", valueName: "n"))
    var loops: Int?

    @Option(
        help: ArgumentHelp(
            "How the kernel is asked for what the sockets bring: auto, epoll or io_uring. A kernel without io_uring is "
                + "asked by epoll, and a line in the log says why. (default: auto)",
            valueName: "poller"))
    var poller: String?

    @Option(
        help: ArgumentHelp(
            "When responses are sent: off, each by itself; turn, all of a turn together; adaptive, held longer where "
                + "that pays; classic, by SCST's rule.",
            valueName: "how"))
    var coalesce: String?

    @Option(
        help: ArgumentHelp(
            "How loops wait: off, they sleep; adaptive, they look a while without sleeping where that pays; busy, they "
                + "never sleep. (default: \(PerformanceSettings.defaultPolling))",
            valueName: "how"))
    var polling: String?

    @Option(help: ArgumentHelp("Answer the client verbs at this local socket.", valueName: "path"))
    var control: String?

    @Option(help: ArgumentHelp("Serve OpenMetrics at http://ADDR:PORT/metrics.", valueName: "addr:port"))
    var metrics: String?

    @Option(
        help: ArgumentHelp(
            "A folder for what must outlive the process; made when it is not there. (default: $STATE_DIRECTORY, or none)",
            valueName: "dir"))
    var stateDir: String?

    @Option(
        help: ArgumentHelp(
            "Time one of N commands for martlet stats: a power of two, or 0 for none. (default: 64, or as the file says)",
            valueName: "n"))
    var statsSample: Int?

    @Option(help: "Tell this and what is graver: \(Log.levels.joined(separator: ", ")).")
    var logLevel: String = "info"

    @Argument(help: ArgumentHelp("LUNs, such as ram/1G or file//srv/disk.img.", valueName: "lun-spec"))
    var luns: [String] = []

    mutating func run() throws {
        guard let level = Log.level(named: logLevel) else {
            throw Failure.usage(
                "--log-level \"\(logLevel)\" is not known: write one of \(Log.levels.joined(separator: ", "))")
        }
        Log.start(level: level)
        var options = ServeOptions()
        options.configurationPath = config
        options.portals = portal
        options.targetName = target
        options.handlerPaths = handlerPath
        options.trustedHandlers = trustHandler
        options.trialSeconds = handlerTrial
        options.stopSeconds = stopLimit
        options.abortSeconds = abortLimit
        options.loopCount = loops
        options.poller = poller
        options.coalescing = coalesce
        options.polling = polling
        options.controlPath = control
        options.metricsAddress = metrics
        options.stateDirectory = stateDir
        options.sampleInterval = statsSample
        options.lunSpecifications = luns
        try Server.run(options)
    }
}
