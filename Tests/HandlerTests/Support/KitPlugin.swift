// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import TargetCore
import Testing

/// The handlers of Tests/Plugins: HandlerKit's callouts, each of them, as the host meets them.
enum KitPlugin: String, CaseIterable {
    case blocking = "kitblocking"
    case asynchronous = "kitasync"

    /// Handlers are found by their names, which these libraries do not have: nobody shall install them.
    private static let registry = Result {
        let folder = Plugins.folder + "/test-plugins"
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for plugin in allCases {
            try FileManager.default.createSymbolicLink(
                atPath: "\(folder)/handler_\(plugin.rawValue).so",
                withDestinationPath: "\(Plugins.folder)/lib\(plugin.rawValue).so")
        }
        // What the handlers say for information is to be heard.
        let registry = HandlerRegistry(diagnostics: Collector().diagnostics)
        let results = registry.scan(directories: [folder])
        try #require(registry.handler(subtype: "kitasync") != nil, "\(results)")
        return registry
    }

    var handler: Handler {
        get throws { try #require(try Self.registry.get().handler(subtype: rawValue)) }
    }

    static let byteCount: UInt64 = 1 << 20

    func configuration(_ words: String) -> HandlerDeviceConfiguration {
        var configuration = HandlerDeviceConfiguration(configString: "\(rawValue)/\(words)", serial: "KIT1")
        configuration.byteCount = Self.byteCount
        return configuration
    }

    func open(_ words: String = "", _ collector: Collector = Collector()) throws -> HandlerDevice {
        try HandlerDevice.open(try handler, configuration(words), diagnostics: collector.diagnostics)
    }
}

/// What MemoryStore's `Request` asks for.
enum KitRequest: UInt8 {
    case loseConnection = 1
    case grow, answerCalls, answerIsReopening, fail, answerReceived, answerSerialNumber
    case answerMostAtOnce

    /// The outcome, and the data where there is an answer.
    @discardableResult
    func run(on device: HandlerDevice, sending: [UInt8] = []) -> (outcome: BlockOutcome, answer: [UInt8]) {
        let request = TestRequest(cdb: [0x0E, rawValue, 0, 0, 0, 0], byteCount: sending.isEmpty ? 255 : sending.count)
        request.request.buffer.copyBytes(from: sending)
        let outcome = request.run(on: device)
        let count = request.request.transferredByteCount ?? request.bytes.count
        return (outcome, Array(request.bytes.prefix(count)))
    }

    /// The answer as text.
    func words(on device: HandlerDevice) -> String { String(decoding: run(on: device).answer, as: UTF8.self) }
}
