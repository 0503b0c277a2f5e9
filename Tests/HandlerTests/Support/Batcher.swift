// SPDX-License-Identifier: Apache-2.0

import Foundation
import HandlerHost
import TargetCore
import Testing

/// The batcher of Handlers/batcher.c, compiled with some of its switches.
struct Batcher {
    let folder: TestFolder
    let collector = Collector()
    let handler: Handler

    static let byteCount: UInt64 = 1 << 20

    init(_ defines: String...) throws {
        folder = try TestFolder()
        try Compiler.compile("batcher.c", to: "handler_batcher.so", in: folder, defines)
        let registry = HandlerRegistry(diagnostics: collector.diagnostics)
        let results = registry.scan(directories: [folder.path])
        handler = try #require(registry.handler(subtype: "batcher"), "\(results)")
    }

    var configuration: HandlerDeviceConfiguration {
        var configuration = HandlerDeviceConfiguration(
            configString: "batcher/log=\(folder.file("log"))", serial: "1")
        configuration.byteCount = Self.byteCount
        return configuration
    }

    func open() throws -> HandlerDevice { try open(configuration) }

    func open(_ configuration: HandlerDeviceConfiguration) throws -> HandlerDevice {
        try HandlerDevice.open(handler, configuration, diagnostics: collector.diagnostics)
    }

    var calls: [String] { folder.lines("log") }

    func calls(_ word: String) -> [String] { calls.filter { $0.hasPrefix(word) } }
}

/// Polls a device's descriptor and reaps, as the loops of a server do.
final class ReapingLoop: Sendable {
    private let ends: [Int32]
    private let isOver = DispatchSemaphore(value: 0)

    init(_ device: HandlerDevice, _ descriptor: Int32) {
        var pair: [Int32] = [0, 0]
        precondition(pipe(&pair) == 0)
        ends = pair
        Thread.detachNewThread { [ends, isOver] in
            var looks = [
                pollfd(fd: ends[0], events: Int16(POLLIN), revents: 0),
                pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
            ]
            while true {
                poll(&looks, 2, -1)
                if looks[0].revents != 0 { break }
                if looks[1].revents != 0 { device.reap() }
            }
            isOver.signal()
        }
    }

    func stop() {
        close(ends[1])
        isOver.wait()
        close(ends[0])
    }
}
