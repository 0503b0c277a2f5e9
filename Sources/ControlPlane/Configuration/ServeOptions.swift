// SPDX-License-Identifier: Apache-2.0

public import Transport

/// What `martlet serve` was told on its command line, as it was written.
public struct ServeOptions: Sendable {
    public var configurationPath: String?
    public var portals: [String] = []
    public var targetName: String?
    public var handlerPaths: [String] = []
    public var trustedHandlers: [String] = []
    /// How long a handler that was not shipped may take to start in its trial; 0: no trial.
    public var trialSeconds = HandlerTrial.defaultSeconds
    /// How long the stop may take; 0: as long as it takes.
    public var stopSeconds = StopLimit.defaultSeconds
    public var loopCount: Int?
    public var poller: String?
    public var coalescing: String?
    public var polling: String?
    public var controlPath: String?
    public var metricsAddress: String?
    public var stateDirectory: String?
    /// Of so many commands one is timed; nil: as the file says, or the default.
    public var sampleInterval: Int?
    public var lunSpecifications: [String] = []

    /// How long task management waits for a handler's commands; 0: as long as it takes.
    public var abortSeconds = defaultAbortSeconds

    public static let defaultAbortSeconds = 30

    public init() {}

    /// Everything that the words alone can show wrong, found before anything is opened.
    public func configuration() throws(Failure) -> Configuration {
        try configuration { portals throws(Failure) in
            guard let configurationPath else { return nil }
            return try ConfigurationFile.read(configurationPath, portals: portals)
        }
    }

    /// The same with `text` in place of the file.
    func configuration(text: String, file: String) throws(Failure) -> Configuration {
        try configuration { portals throws(Failure) in
            try ConfigurationFile.parse(text, file: file, portals: portals)
        }
    }

    /// `read` is given the portals that take the place of those of the file.
    private func configuration(
        read: ([Configuration.Portal]) throws(Failure) -> Configuration?
    ) throws(Failure) -> Configuration {
        // Twice: what is wrong with the command line is told before the file is opened, and it counts more than the file.
        var configuration = Configuration()
        try addPerformance(to: &configuration.performance)
        configuration.portals = try portals.map { text throws(Failure) in
            Configuration.Portal(listen: try Self.address(text, option: "--portal"))
        }
        if let written = try read(configuration.portals) {
            configuration = written
            try addPerformance(to: &configuration.performance)
        }
        if configuration.portals.isEmpty { configuration.portals = [.init(listen: Configuration.defaultPortal)] }
        configuration.trustedHandlers += try Self.trustedHandlers(trustedHandlers)
        try Self.checkSeconds(trialSeconds, option: "--handler-trial")
        try Self.checkSeconds(stopSeconds, option: "--stop-limit")
        try Self.checkSeconds(abortSeconds, option: "--abort-limit")
        configuration.abortSeconds = abortSeconds
        try addCommandLineTarget(to: &configuration)
        guard !configuration.targets.isEmpty else {
            throw .usage("nothing to serve: give a LUN such as ram/1G, or --config FILE (see martlet serve --help)")
        }
        return configuration
    }

    /// The address for `--metrics`; nil when there is to be none.
    public func metricsPortal() throws(Failure) -> PortalAddress? {
        guard let text = metricsAddress else { return nil }
        return try Self.address(text, option: "--metrics")
    }

    private func addPerformance(to settings: inout PerformanceSettings) throws(Failure) {
        let words: [(PerformanceKey, String?)] = [
            (.loops, loopCount.map { "\($0)" }), (.poller, poller), (.coalesce, coalescing), (.polling, polling),
            (.statsSample, sampleInterval.map { "\($0)" }),
        ]
        for (key, word) in words {
            guard let word else { continue }
            guard key.apply(word, to: &settings) else {
                throw .usage("--\(key.rawValue) \(word) is not possible: \(key.expectation)")
            }
        }
    }

    /// The LUNs of the command line are a target of their own, beside those of the file.
    private func addCommandLineTarget(to configuration: inout Configuration) throws(Failure) {
        if let name = targetName, let defect = ISCSIName.defect(of: name) {
            throw .usage("--target \"\(name)\" \(defect)")
        }
        guard !lunSpecifications.isEmpty else {
            guard targetName == nil else {
                throw .usage("--target names the target of LUNs on the command line: give at least one, such as ram/1G")
            }
            return
        }
        let name = targetName ?? Configuration.defaultTargetName
        guard !configuration.targets.contains(where: { $0.name == name }) else {
            throw .usage("the target \(name) is in the configuration file: give --target another name")
        }
        var access = TargetAccess(targetName: name)
        access.list.others = configuration.others
        if configuration.others == .deny {
            configuration.warnings.append(
                "nobody may log in to \(name), the target of the LUNs of the command line: the file has default: deny, "
                    + "and only targets of the file have rules")
        }
        for (number, text) in lunSpecifications.enumerated() {
            let settings = try LUNSpecification.parse(text)
            let device = Self.deviceName(settings, among: configuration.devices)
            configuration.devices.append(
                Configuration.Device(name: device, settings: settings, origin: "LUN \(number)"))
            access.luns.units[number] = LUNView.Unit(device: device)
        }
        configuration.targets.append(Configuration.Target(access: access))
    }

    /// A device without a name is called by its store, so that it stays itself when the LUNs change places.
    private static func deviceName(_ settings: DeviceSettings, among devices: [Configuration.Device]) -> String {
        let names = Set(devices.map(\.name))
        guard names.contains(settings.backstore) else { return settings.backstore }
        var number = 2
        while names.contains("\(settings.backstore)#\(number)") { number += 1 }
        return "\(settings.backstore)#\(number)"
    }

    /// A day.
    private static let maximumSeconds = 86400

    static func checkSeconds(_ seconds: Int, option: String) throws(Failure) {
        guard (0...maximumSeconds).contains(seconds) else {
            throw .usage("\(option) \(seconds) is not possible: write seconds from 0 to \(maximumSeconds)")
        }
    }

    static func trustedHandlers(_ paths: [String]) throws(Failure) -> [String] {
        for path in paths where !Environment.isThere(path) {
            throw .usage("--trust-handler \(path): there is no such file: check the path")
        }
        return paths
    }

    private static func address(_ text: String, option: String) throws(Failure) -> PortalAddress {
        guard let address = PortalAddress(text) else {
            throw .usage(
                "\(option) \"\(text)\" is no address: write a numeric one with its port, such as 127.0.0.1:3260 or "
                    + "[::1]:3260")
        }
        return address
    }
}
